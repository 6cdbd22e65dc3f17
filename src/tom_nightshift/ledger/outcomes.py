"""How an attempt ended: decided by one table, and written in one transaction.

| what Dramatiq tells us                                | the move                         |
|-------------------------------------------------------|----------------------------------|
| ack, no exception                                     | succeeded, or warned             |
| ``enqueue`` of the very message that this thread runs | waiting again, with its delay    |
| ack with an exception, no retry, Retries not there    | failed                           |
| ack with an exception, no retry, Retries there        | put back; failed the third time  |
| nack after ``after_process_message(exception=…)``     | failed                           |
| nack after ``after_skip_message``                     | expired if too old, else failed  |
| nack for an actor that this worker does not know      | held: parked                     |
| ack after ``after_skip_message``                      | warned: skipped                  |
| StopRequested, Stopped or Withdrawn                   | stopped                          |
| Later                                                 | waiting until then, uncharged    |
| Shutdown, or requeue: the worker is ending            | waiting again, charged to nobody |
| the process that ran it alone has died                | see ``lost``                     |

A retry counts as a failure only if there was one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dramatiq.errors import ActorNotFound
from dramatiq.middleware import Shutdown, TimeLimitExceeded

from tom_nightshift import events
from tom_nightshift.conf import get_settings
from tom_nightshift.exceptions import Later, ProcessDied, StopRequested, TaskError, Unportable, Withdrawn
from tom_nightshift.ledger import moves, storable
from tom_nightshift.ledger.attempt import Attempt, Retry
from tom_nightshift.ledger.ending import Stopped
from tom_nightshift.ledger.putting_back import seconds_until
from tom_nightshift.ledger.reporter import report_values, write_log, write_stage
from tom_nightshift.ledger.secrets import NONE, Secrets
from tom_nightshift.ledger.session import Sql
from tom_nightshift.states import Hold, State

WORDS_LENGTH = 2_000
"""Most characters of a failure in words."""

TRACEBACK_LENGTH = 50_000

PUT_BACK_AFTER = (5.0, 60.0)
"""Seconds before an attempt whose retry could not be recorded runs again; there is no third time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a job after an attempt. ``state`` WAITING means that it waits again."""

    state: State
    reason: str = ""
    words: str = ""
    """For the astronomer."""

    hold: Hold = Hold.NONE
    delay: float = 0.0
    charge: str = ""
    message: bytes | None = None

    @property
    def recorded_as(self) -> str:
        """The word in the list of attempts."""
        if self.charge == "losses":
            return "lost"
        if self.state != State.WAITING:
            return str(self.state)
        if self.reason == "later":
            return "later"
        return "retried" if self.charge == "failures" else "returned"


def decide(attempt: Attempt, *, acked: bool, too_old: bool = False, has_retries: bool = True) -> Outcome:
    """The table.

    Parameters:
        acked: whether Dramatiq acknowledged the message (else it rejected it).
        too_old: whether the message is past its ``max_age``.
        has_retries: whether Dramatiq's Retries is among the broker's middleware.
    """
    error = attempt.exception
    if isinstance(error, ActorNotFound):
        return Outcome(
            State.WAITING, "parked", f"no worker here knows the task {attempt.task}", hold=Hold.PARKED
        )
    if attempt.put_back is not None:
        return _put_back(attempt, attempt.put_back)
    if isinstance(error, StopRequested | Stopped | Withdrawn):
        return Outcome(State.STOPPED, "stopped", _words_of(attempt))
    if attempt.skipped:
        return _skipped(acked, too_old)
    if attempt.retry is not None:
        return _retried(attempt, attempt.retry)
    if error is None:
        return (
            _succeeded(attempt)
            if acked
            else Outcome(State.FAILED, "rejected", "the task was rejected unseen")
        )
    if acked and has_retries and attempt.failures < len(PUT_BACK_AFTER):
        delay = PUT_BACK_AFTER[attempt.failures]
        return Outcome(State.WAITING, "put back", _words_of(attempt), Hold.UNTIL, delay, charge="failures")
    return Outcome(State.FAILED, reason_of(error), _words_of(attempt))


def hand_back() -> Outcome:
    """The worker is ending before a thread began the job."""
    return Outcome(State.WAITING, "handed back", "")


def lost(losses: int, on_lost: str, how: str, *, alone: bool, stop_requested: bool) -> Outcome:
    """The process that ran the job has died.

    Parameters:
        losses: how often that has happened before.
        on_lost: ``again``, or ``lost`` for a task that must not run twice.
        how: ``it crashed (SIGSEGV)``, for the astronomer.
        alone: whether nothing else ran in that process, so that this job must have done it.
    """
    if stop_requested:
        return Outcome(State.STOPPED, "stopped", "stopped", charge="losses")
    if on_lost == "lost":
        words = "interrupted: we do not know whether it finished"
        return Outcome(State.LOST, "lost", words, charge="losses")
    if alone and losses + 1 >= get_settings().max_losses:
        words = f"set aside: it crashed the worker {losses + 1} times{how and f' ({how})'}"
        return Outcome(State.FAILED, "poison", words, charge="losses")
    return Outcome(State.WAITING, "worker died", how or "the process that ran it died", charge="losses")


def forced(attempt: Attempt) -> Outcome:
    """The attempt has not ended in spite of everything, and its process is about to be killed."""
    assert attempt.ending is not None
    attempt.exception = attempt.ending.kind()
    if isinstance(attempt.exception, Shutdown):
        return _put_back(attempt, attempt.exception)
    return decide(attempt, acked=False)


def write(sql: Sql, attempt: Attempt, outcome: Outcome) -> bool:
    """Write an outcome, with the rest of the log, the last progress and the last stage of a stop. Whether the
    attempt still held its row.
    """
    result = result_json(attempt) if outcome.state in (State.SUCCEEDED, State.WARNED, State.FAILED) else None
    traceback = storable.text(attempt.traceback, TRACEBACK_LENGTH)
    moves.record(sql, attempt.token, outcome.recorded_as, outcome.words, traceback)
    write_last_progress(sql, attempt)
    write_stage(sql, attempt)
    accepted = move(sql, attempt.token, outcome, result)
    if accepted:
        write_log(sql, attempt, attempt.log.rest())
    else:
        note_late(sql, attempt, outcome)
    return accepted


def write_last_progress(sql: Sql, attempt: Attempt) -> None:
    """What the attempt has said of its progress and its row does not know yet."""
    if attempt.reports.changed:
        sql.run(
            "UPDATE tom_nightshift_job SET done = %s, total = %s, note = %s, stages = %s, saved = %s "
            "WHERE id = %s AND attempt = %s AND state = 'running'",
            [*report_values(attempt), *attempt.token],
        )


def note_late(sql: Sql, attempt: Attempt, outcome: Outcome) -> None:
    """Keep a note of how an attempt ended that had lost its row."""
    moves.note_late(sql, attempt.token, f"{outcome.recorded_as}, but too late")


def write_bare(sql: Sql, attempt: Attempt, outcome: Outcome, problem: str) -> bool:
    """Write an outcome that was refused with all that belongs to it: only the move, and why the rest is
    missing.
    """
    words = f"{outcome.words} (the rest of what it said could not be stored: {problem})".strip()
    done = outcome.state in (State.SUCCEEDED, State.WARNED) and attempt.value is not None
    result = storable.as_json({"not_kept": "what it returned could not be stored"}) if done else None
    return move(sql, attempt.token, replace(outcome, words=storable.text(words, WORDS_LENGTH)), result)


def result_json(attempt: Attempt) -> str | None:
    """The result: what pages show of it, and what the caller gets where that is something else. A value that
    cannot be kept becomes a warning, never a failure.
    """
    value = _kept_value(attempt)
    if value is None and not (attempt.made or attempt.warnings or attempt.not_kept):
        return None
    result = attempt.secrets.mask_all({"value": value, "made": attempt.made, "warnings": attempt.warnings})
    if attempt.not_kept:
        result["not_kept"] = attempt.not_kept
    elif result["value"] != value:
        result["returned"] = value  # for get_result alone: no page reads it
    return storable.as_json(result)


def in_words(error: BaseException, secrets: Secrets = NONE) -> str:
    """A failure as one sentence: a task's own words as they are, else the kind of error and what it said."""
    said = storable.text(secrets.mask(storable.text(error)), WORDS_LENGTH).strip()
    if said and isinstance(error, TaskError | StopRequested):
        return said
    name = _kind(error)
    return f"{name}: {said}" if said else name


def reason_of(error: BaseException) -> str:
    """One word for a failure, to count by."""
    if isinstance(error, TimeLimitExceeded):
        return "time limit"
    return "task" if isinstance(error, TaskError) else storable.text(_kind(error), 40)


def _kind(error: BaseException) -> str:
    return storable.text(error.kind if isinstance(error, Unportable) else type(error).__name__)


def _words_of(attempt: Attempt) -> str:
    error = attempt.exception
    if isinstance(error, TimeLimitExceeded):
        return f"stopped after {attempt.seconds:,.0f} s: its time limit"
    if isinstance(error, Stopped):
        return "stopped"
    if isinstance(error, MemoryError):
        limit = attempt.terms.memory
        most = f"the {limit:,} bytes that its task allows" if limit else "there is"
        return f"it needed more memory than {most}"
    return in_words(error, attempt.secrets) if error is not None else ""


def move(sql: Sql, token: moves.Token, outcome: Outcome, result: str | None = None) -> bool:
    """Only the move. Whether the attempt still held its row."""
    if outcome.state != State.WAITING:
        return moves.finish(
            sql, token, outcome.state, reason=outcome.reason, error=outcome.words, result=result,
            charge=outcome.charge,
        )  # fmt: skip
    return moves.wait_again(
        sql, token, charge=outcome.charge, reason=outcome.reason, error=outcome.words,
        message=outcome.message, hold=outcome.hold, delay=outcome.delay,
    )  # fmt: skip


def _put_back(attempt: Attempt, why: BaseException) -> Outcome:
    if isinstance(why, Later):
        return _later(why, attempt.secrets)
    if isinstance(why, ProcessDied):
        return lost(
            attempt.losses, attempt.terms.on_lost, str(why), alone=True, stop_requested=attempt.stop_requested
        )
    if attempt.terms.on_lost == "lost":  # it had begun, and must not begin twice
        return Outcome(State.LOST, "lost", "interrupted: we do not know whether it finished")
    return hand_back()


def _later(later: Later, secrets: Secrets) -> Outcome:
    words = storable.text(secrets.mask(storable.text(later)), WORDS_LENGTH)
    return Outcome(State.WAITING, "later", words, Hold.UNTIL, seconds_until(later), charge="snoozes")


def _skipped(acked: bool, too_old: bool) -> Outcome:
    if acked:
        return Outcome(State.WARNED, "skipped", "skipped before it began")
    if too_old:
        return Outcome(State.EXPIRED, "expired", "it was too old when its turn came")
    return Outcome(State.FAILED, "rejected", "it was rejected before it began")


def _succeeded(attempt: Attempt) -> Outcome:
    _kept_value(attempt)
    if attempt.warnings:
        return Outcome(State.WARNED, "warned", storable.text(attempt.warnings[0], WORDS_LENGTH))
    return Outcome(State.SUCCEEDED)


def _retried(attempt: Attempt, retry: Retry) -> Outcome:
    hold = Hold.UNTIL if retry.delay > 0 else Hold.NONE
    charge = "failures" if attempt.exception is not None else "snoozes"
    return Outcome(
        State.WAITING, "retry", _words_of(attempt), hold, retry.delay, charge, retry.message.encode()
    )


def _kept_value(attempt: Attempt) -> Any:
    """The return value if it can be kept; else a warning, once, and None from then on."""
    if attempt.value is None:
        return None
    if not attempt.terms.keeps_result:
        return _drop(attempt, "its task keeps no result (store_results=False)")
    try:
        size = len(storable.as_json(attempt.value).encode())
    except (TypeError, ValueError) as error:
        problem = f"the return value could not be kept: {events.first_line(error)}"
    else:
        if size <= get_settings().result_bytes:
            return attempt.value
        problem = f"the return value of {size:,} bytes was too large to be kept"
    attempt.warnings.append(problem)
    return _drop(attempt, problem)


def _drop(attempt: Attempt, why: str) -> None:
    attempt.value, attempt.not_kept = None, why
