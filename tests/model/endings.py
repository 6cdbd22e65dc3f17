"""Every way in which an attempt can end: what Dramatiq says of it, and what that must come to.

Each function prepares an attempt as the worker's hooks do, asks the engine to decide, and says what the
answer must mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dramatiq import Message
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import Shutdown

from tests.model.one_job import HANDED_BACK, LOST, MUST_NOT_RUN_TWICE, End, after_a_loss
from tom_nightshift.exceptions import Later, ProcessDied, StopRequested, TaskError
from tom_nightshift.ledger import putting_back
from tom_nightshift.ledger.attempt import Attempt, Retry
from tom_nightshift.ledger.options import Terms
from tom_nightshift.ledger.outcomes import Outcome, decide, hand_back
from tom_nightshift.states import Hold, State

Ending = tuple[Outcome, End]
Way = Callable[[Attempt, bytes], Ending]

PUT_BACK_AFTER = (5.0, 60.0)


def done(attempt: Attempt, message: bytes) -> Ending:
    attempt.value = 1
    return decide(attempt, acked=True), End(State.SUCCEEDED)


def warned(attempt: Attempt, message: bytes) -> Ending:
    attempt.warnings = ["two frames were cloudy"]
    return decide(attempt, acked=True), End(State.WARNED, "warned")


def value_that_cannot_be_kept(attempt: Attempt, message: bytes) -> Ending:
    attempt.value = object()
    return decide(attempt, acked=True), End(State.WARNED, "warned")


def failed(attempt: Attempt, message: bytes) -> Ending:
    attempt.exception = ValueError("no")
    return decide(attempt, acked=False), End(State.FAILED, "ValueError")


def failed_in_words(attempt: Attempt, message: bytes) -> Ending:
    attempt.exception = TaskError("the archive has no such night")
    return decide(attempt, acked=False), End(State.FAILED, "task")


def failed_without_retries(attempt: Attempt, message: bytes) -> Ending:
    attempt.exception = ValueError("no")
    return decide(attempt, acked=True, has_retries=False), End(State.FAILED, "ValueError")


def retried(attempt: Attempt, message: bytes) -> Ending:
    attempt.exception = ValueError("not yet")
    again = _again(attempt, message, 30.0)
    return decide(attempt, acked=True), End(
        State.WAITING, "retry", Hold.UNTIL, 30.0, "failures", "retried", again
    )


def retried_at_once(attempt: Attempt, message: bytes) -> Ending:
    attempt.exception = ValueError("not yet")
    again = _again(attempt, message, 0.0)
    return decide(attempt, acked=True), End(
        State.WAITING, "retry", charge="failures", recorded="retried", message=again
    )


def snoozed(attempt: Attempt, message: bytes) -> Ending:
    again = _again(attempt, message, 600.0)
    return decide(attempt, acked=True), End(
        State.WAITING, "retry", Hold.UNTIL, 600.0, "snoozes", "returned", again
    )


def put_back(attempt: Attempt, message: bytes) -> Ending:
    """Retries' own hook broke: nobody recorded a retry of this failure."""
    attempt.exception = ValueError("no")
    outcome = decide(attempt, acked=True)
    if attempt.failures >= len(PUT_BACK_AFTER):
        return outcome, End(State.FAILED, "ValueError")
    delay = PUT_BACK_AFTER[attempt.failures]
    return outcome, End(State.WAITING, "put back", Hold.UNTIL, delay, "failures", "retried")


def parked(attempt: Attempt, message: bytes) -> Ending:
    attempt.exception = ActorNotFound(attempt.task)
    return decide(attempt, acked=False), End(State.WAITING, "parked", Hold.PARKED, recorded="returned")


def stopped(attempt: Attempt, message: bytes) -> Ending:
    attempt.exception = StopRequested("stopped")
    return decide(attempt, acked=False), End(State.STOPPED, "stopped")


def skipped(attempt: Attempt, message: bytes) -> Ending:
    attempt.skipped = True
    return decide(attempt, acked=True), End(State.WARNED, "skipped")


def expired(attempt: Attempt, message: bytes) -> Ending:
    attempt.skipped = True
    return decide(attempt, acked=False, too_old=True), End(State.EXPIRED, "expired")


def rejected(attempt: Attempt, message: bytes) -> Ending:
    attempt.skipped = True
    return decide(attempt, acked=False), End(State.FAILED, "rejected")


def handed_back(attempt: Attempt, message: bytes) -> Ending:
    return hand_back(), HANDED_BACK


def later(attempt: Attempt, message: bytes) -> Ending:
    end = End(State.WAITING, "later", Hold.UNTIL, 90.0, "snoozes", "later")
    return _put_back(attempt, Later(90, "waiting for ATLAS")), end


def shut_down(attempt: Attempt, message: bytes) -> Ending:
    """Its worker ends, and it had begun."""
    return _put_back(attempt, Shutdown()), LOST if attempt.task == MUST_NOT_RUN_TWICE else HANDED_BACK


def process_died(attempt: Attempt, message: bytes) -> Ending:
    """It ran alone in a process, which died; its worker has not."""
    return _put_back(attempt, ProcessDied("it crashed (SIGSEGV)")), after_a_loss(
        attempt.losses, alone=True, stop_requested=attempt.stop_requested,
        once=attempt.task == MUST_NOT_RUN_TWICE,
    )  # fmt: skip


WAYS: tuple[Way, ...] = (
    done, warned, value_that_cannot_be_kept, failed, failed_in_words, failed_without_retries, retried,
    retried_at_once, snoozed, put_back, parked, stopped, skipped, expired, rejected, handed_back,
    later, shut_down, process_died,
)  # fmt: skip

AGAIN = (retried, retried_at_once, snoozed, put_back, parked, handed_back, later, shut_down, process_died)
"""Those after which the job waits again."""


def bring_about(attempt: Attempt, way: Way, message: bytes) -> Ending:
    """End an attempt in this way, whatever was said of it before.

    Parameters:
        message: the message that it was delivered with.
    """
    attempt.value = attempt.exception = attempt.retry = attempt.put_back = None
    attempt.skipped, attempt.warnings = False, []
    return way(attempt, message)


def _put_back(attempt: Attempt, why: BaseException) -> Outcome:
    """As the guard does where the task's function is called; Dramatiq then skips the message."""
    putting_back.put_back(attempt, why)
    attempt.skipped, attempt.terms = True, Terms(on_lost=on_lost(attempt.task))
    return decide(attempt, acked=True)


def on_lost(task: str) -> str:
    return "lost" if task == MUST_NOT_RUN_TWICE else "again"


def _again(attempt: Attempt, message: bytes, delay: float) -> bytes:
    """Have the very message enqueued again, as Retries does; what its next delivery is then."""
    once = Message.decode(message)
    again = replace(once, options={**once.options, "retries": once.options.get("retries", 0) + 1})
    attempt.retry = Retry(again, delay)
    return again.encode()
