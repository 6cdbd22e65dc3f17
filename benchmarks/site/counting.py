"""How many statements a job costs whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.site import sending

FRAME = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")
"""What a transaction itself consists of."""


def statements() -> dict[str, float]:
    """Of one job in a transaction that has nothing else to do, on all connections of the process."""
    send = sending.prepare()
    send(0)  # once before: what Django looks up then, it keeps
    seen: list[str] = []
    with _watching(seen):
        send(1)
    return {"statements": sum(not statement.lstrip().upper().startswith(FRAME) for statement in seen)}


def _watching(seen: list[str]) -> Any:
    from contextlib import ExitStack

    from django.db import connections

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return execute(sql, params, many, context)

    watched = ExitStack()
    for connection in connections.all():
        watched.enter_context(connection.execute_wrapper(note))
    return watched
