"""The one place where a task's function is called.

Every task declared to a broker with our hooks has its function wrapped by ``guarded``. Outside a job nothing
changes. In a job it runs inside the attempt's frame, or in a process of its own, and an end that is no end of
the job (it is put off, its worker is leaving, its process died) does not look like a failure to Dramatiq's
other middleware.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from dramatiq.middleware import Shutdown, SkipMessage

from tom_nightshift.exceptions import Later, ProcessDied, TaskError
from tom_nightshift.ledger.attempt import Attempt, current
from tom_nightshift.ledger.eventloop import is_async, run_async
from tom_nightshift.ledger.putting_back import put_back

Call = Callable[..., Any]
Isolation = Callable[[Attempt, tuple[Any, ...], Mapping[str, Any]], Any]

NOT_ITS_END = (Later, Shutdown, ProcessDied)
"""After these the job may run again: Dramatiq is told that the message was skipped."""

_isolation: Isolation | None = None


def isolate_by(isolation: Isolation | None) -> None:
    """From now on this process can run attempts in a process of their own."""
    global _isolation
    _isolation = isolation


def guarded(fn: Call) -> Call:
    """Wrap the function of a task."""
    if hasattr(fn, "__nightshift__"):
        return fn

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        attempt = current.get()
        if attempt is None or attempt.entered:  # a task that calls another runs on in its own frame
            return fn(*args, **kwargs)
        return _run(attempt, fn, args, kwargs)

    call.__nightshift__ = True  # type: ignore[attr-defined]
    return call


def in_frame(attempt: Attempt, fn: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call a task's function in this thread, where it may be interrupted."""
    attempt.entered = True
    attempt.frame.enter()
    try:
        value = run_async(fn, args, kwargs) if is_async(fn) else fn(*args, **kwargs)
    finally:
        attempt.frame.leave()
    return value


def _run(attempt: Attempt, fn: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    try:
        isolation = _isolation_of(attempt)
        if isolation is None:
            return in_frame(attempt, fn, args, kwargs)
        attempt.entered = True
        return isolation(attempt, args, kwargs)
    except NOT_ITS_END as error:
        put_back(attempt, error)
        raise SkipMessage(f"job {attempt.job_id} is put back") from error
    finally:
        attempt.left = True


def _isolation_of(attempt: Attempt) -> Isolation | None:
    """What gives the attempt a process of its own; None: it runs in this one.

    A job whose worker died once runs alone from then on: so that it is known which of several did it.
    """
    if attempt.inline:
        return None
    if attempt.terms.isolated and _isolation is None:
        raise TaskError(
            f"The task {attempt.task} needs a process of its own (isolation='process'), and what runs jobs "
            "here cannot give it one: whoever runs this site is to run ./manage.py nightshift instead."
        )
    return _isolation if attempt.terms.isolated or attempt.losses > 0 else None
