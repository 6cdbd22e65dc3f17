"""``async def`` tasks, and callers in an event loop.

Dramatiq runs the coroutines of a process on one event loop, in a thread that its AsyncIO middleware starts
with a worker. Here the thread is started when the first such task is called: so it is there as well where
jobs run at once or alone in a process, and not where there are none.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread, set_event_loop_thread
from dramatiq.logging import get_logger
from dramatiq.middleware import Interrupt

Answer = TypeVar("Answer")

STARTS_WITHIN = 30.0
"""Seconds."""

_lock = threading.Lock()


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether a task's function was written with ``async def``."""
    return inspect.iscoroutinefunction(inspect.unwrap(fn))


def run_async(fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call such a task's function, and end as it ends, interrupted or not."""
    _ensure_loop()
    try:
        return fn(*args, **kwargs)
    except RuntimeError as error:
        # Dramatiq's words for a coroutine that does not end though it was interrupted.
        if isinstance(error.__cause__, Interrupt):
            raise error.__cause__ from None
        raise


def outside_loop(call: Callable[[], Answer]) -> Answer:
    """Call this where Django lets it ask the database: in a thread aside, if this one runs an event loop."""
    return _in_thread(call) if _runs_a_loop() else call()


def _ensure_loop() -> None:
    with _lock:
        there = get_event_loop_thread()
        if there is None or not there.is_alive():  # a fork has none of its parent's threads
            thread = EventLoopThread(get_logger(__name__, EventLoopThread))  # type: ignore[no-untyped-call]
            thread.daemon = True
            # What it says of its start belongs to no job, least of all to the one that needed it first.
            contextvars.Context().run(thread.start, timeout=STARTS_WITHIN)
            set_event_loop_thread(thread)


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_thread(call: Callable[[], Answer]) -> Answer:
    answers: list[Answer] = []
    errors: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            answers.append(context.run(call))
        except BaseException as error:  # noqa: BLE001 - raised again below, where it belongs
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, name="nightshift-aside")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]
