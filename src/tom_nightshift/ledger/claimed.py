"""A claimed row as the attempt that it is to the process that claimed it."""

from __future__ import annotations

import json
from typing import Any

from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.moves import Row


def attempt_from_row(row: Row) -> tuple[Attempt, bytes]:
    """A claimed row (``moves.CLAIMED``) as an attempt, and its message."""
    job_id, number, task, queue_name, title, owner_id, root, failures, losses, saved, stages, message = row
    attempt = Attempt(
        job_id,
        number,
        task,
        queue_name,
        title=title,
        owner_id=owner_id,
        root=root or job_id,
        failures=failures,
        losses=losses,
    )
    if saved is not None or stages is not None:
        _remember(attempt, _json(saved) or {}, _json(stages) or [])
    return attempt, bytes(message)


def _remember(attempt: Attempt, saved: dict[str, Any], stages: list[dict[str, Any]]) -> None:
    """What earlier attempts finished; what they only began is not shown any more."""
    attempt.reports.saved = saved
    attempt.reports.stages = [stage for stage in stages if stage.get("done")]
    attempt.reports.changed = attempt.reports.stages != stages


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
