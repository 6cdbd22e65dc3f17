"""Dramatiq's ``ResultBackend``: what a task returned is read from the row of its job.

Nothing is stored here: the value travels in the statement that finishes the job, and is kept as long as the
row is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connections
from dramatiq.results import ResultBackend, ResultFailure, ResultMissing, ResultTimeout
from dramatiq.results.backend import DEFAULT_TIMEOUT

from tom_nightshift.broker.patience import look_until
from tom_nightshift.exceptions import WaitRefused
from tom_nightshift.ledger.session import OwnConnection, Sql, jobs_alias
from tom_nightshift.states import FINAL, State

Ended = tuple[Any, ...]
"""(id, title, state, reason, error, result) of a job that is final."""

_DONE = (State.SUCCEEDED, State.WARNED)


class DatabaseResults(ResultBackend):
    """The results of jobs, read from their rows."""

    def get_result(self, message: Any, *, block: bool = False, timeout: int | None = None) -> Any:
        """What the job of a message returned.

        Parameters:
            block: wait until the job has ended.
            timeout: milliseconds to wait at most; None: 10,000.

        Raises:
            ResultMissing: the job has not ended, is not there, or its value was not kept.
            ResultTimeout: it did not end in time.
            ResultFailure: it failed, was stopped or lost, or was too old; with the words of its page.
            WaitRefused: the caller's own transaction keeps the job from beginning.
        """
        with _callers_look() as look:
            ended = look(message)
        if ended is None and block:
            ended = _wait(message, DEFAULT_TIMEOUT if timeout is None else timeout)
        if ended is None:
            raise ResultMissing(f"the job of {message} has not ended, or is not there.")  # type: ignore[no-untyped-call]
        return _value(ended)

    def store_result(self, message: Any, result: Any, ttl: int) -> None:
        """Nothing: the outcome of the attempt has it."""

    def store_exception(self, message: Any, exception: BaseException, ttl: int) -> None:
        """Nothing: the outcome of the attempt has it."""


def _wait(message: Any, timeout: int) -> Ended:
    with _looking(message) as look:
        ended = look_until(lambda: look(message), timeout / 1000)
    if ended is None:
        raise ResultTimeout(f"the job of {message} has not ended within {timeout:,} ms.")  # type: ignore[no-untyped-call]
    return ended


@contextmanager
def _looking(message: Any) -> Iterator[Callable[[Any], Ended | None]]:
    """How to look while waiting: inside ``atomic()`` from outside it, or the caller would not see others."""
    connection = connections[jobs_alias()]
    if not connection.in_atomic_block:
        with _callers_look() as look:
            yield look
        return
    if connection.vendor == "sqlite":
        raise WaitRefused(
            "get_result(block=True) inside atomic(): on SQLite no job can end until this transaction has. "
            "Wait after the block."
        )
    outside = OwnConnection()
    try:
        with outside.reading() as sql:
            _refuse_what_nobody_sees(sql, message)
            yield lambda wanted: _ended(sql, wanted)
    finally:
        outside.close()


@contextmanager
def _callers_look() -> Iterator[Callable[[Any], Ended | None]]:
    sql = Sql(connections[jobs_alias()])
    yield lambda message: _ended(sql, message)


def _refuse_what_nobody_sees(sql: Sql, message: Any) -> None:
    if not sql.rows(f"SELECT 1 {_BY_MESSAGE}", [sql.uuid(message.message_id)]):
        raise WaitRefused(
            f"get_result(block=True) inside atomic(): the job of {message} is not committed yet, so no "
            "worker can begin it. Wait after the block."
        )


_BY_MESSAGE = "FROM tom_nightshift_job WHERE message_id = %s"


def _ended(sql: Sql, message: Any) -> Ended | None:
    rows = sql.rows(
        f"SELECT id, title, state, reason, error, result {_BY_MESSAGE}", [sql.uuid(message.message_id)]
    )
    return rows[0] if rows and rows[0][2] in FINAL else None


def _value(ended: Ended) -> Any:
    job_id, title, state, reason, words, result = ended
    if state not in _DONE:
        raise ResultFailure(_sentence(job_id, title, state, words), _kind(reason, state), words)  # type: ignore[no-untyped-call]
    kept = json.loads(result) if isinstance(result, str) else result
    if not isinstance(kept, Mapping):
        return None
    if kept.get("not_kept"):
        raise ResultMissing(f"job {job_id} ({title}) is done, but {kept['not_kept']}.")  # type: ignore[no-untyped-call]
    return kept["returned"] if "returned" in kept else kept.get("value")


def _sentence(job_id: int, title: str, state: str, words: str) -> str:
    how = {
        State.FAILED: "failed",
        State.STOPPED: "was stopped",
        State.LOST: "was lost",
        State.EXPIRED: "was too old",
    }
    said = f": {words}" if words and words != "stopped" else ""
    return f"job {job_id} ({title}) {how[State(state)]}{said}"


def _kind(reason: str, state: str) -> str:
    """The class of the error that the task raised, where it raised one."""
    return "TaskError" if reason == "task" else str(reason or state)
