"""A job in the reader's words: astronomers read these, so no queue, no lease, no broker, no attempt.

Times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from tom_nightshift.ledger.ending import Stage
from tom_nightshift.models import Attempt, Job
from tom_nightshift.states import Hold, State

NO_WORKER = "Background jobs are not being run at the moment, so it has to wait; nothing is lost."
LATER = "later"
"""The reason of a job that its task put off."""

WORKER_COMMAND = "./manage.py nightshift"


@dataclass(frozen=True, slots=True)
class Badge:
    """A state in two or three words, with the classes of its colours (those of Bootstrap)."""

    text: str
    css: str


_BADGES = {
    State.WAITING: Badge("waiting to start", "text-bg-secondary"),
    State.RUNNING: Badge("running", "text-bg-primary"),
    State.SUCCEEDED: Badge("done", "text-bg-success"),
    State.WARNED: Badge("done, with warnings", "text-bg-warning"),
    State.FAILED: Badge("failed", "text-bg-danger"),
    State.STOPPED: Badge("stopped", "text-bg-secondary"),
    State.LOST: Badge("interrupted", "text-bg-warning"),
    State.EXPIRED: Badge("too old", "text-bg-secondary"),
}

_ENDED_AS = {
    "retried": "failed, to be tried again",
    "returned": "handed back before it was done",
    "later": "put off until later",
    "lost": "interrupted: the process that ran it died",
} | {str(state): badge.text for state, badge in _BADGES.items()}


def badge(job: Job) -> Badge:
    """The state of a job in two or three words."""
    state = State(job.state)
    if state == State.WAITING and job.hold == Hold.PARKED:
        return Badge("cannot start", "text-bg-warning")
    if state == State.WAITING and job.hold == Hold.PAUSED:
        return Badge("waiting: paused by staff", "text-bg-secondary")
    if state == State.WAITING and job.hold in (Hold.LIMIT, Hold.RATE):
        return Badge("waiting for its turn", "text-bg-secondary")
    if state == State.WAITING and job.reason == LATER:
        return Badge("waiting", "text-bg-secondary")
    if state == State.WAITING and job.attempt:
        return Badge(f"waiting for its {nth_try(tries(job) + 1)}", "text-bg-secondary")
    if state == State.RUNNING and job.stop_requested:
        return Badge("stopping", "text-bg-secondary")
    if state == State.RUNNING and tries(job) > 1:
        return Badge(f"running, {nth_try(tries(job))}", "text-bg-primary")
    return _BADGES[state]


def badge_of(state: State) -> Badge:
    """A state in two or three words, where no more is known."""
    return _BADGES[state]


def sentence(job: Job, stopped_by: str = "", turn: str = "") -> str:
    """The state of a job in one sentence.

    Parameters:
        stopped_by: who stopped it, where the reader may know that.
        turn: what it waits for, if that is its turn.
    """
    match State(job.state):
        case State.WAITING:
            return _waiting(job, turn)
        case State.RUNNING:
            return _running(job, stopped_by)
        case State.SUCCEEDED | State.WARNED:
            return _done(job)
        case State.FAILED:
            return f"Failed {_when_ended(job)}."
        case State.STOPPED:
            return _stopped(job, stopped_by)
        case State.LOST:
            return f"Interrupted {_when_ended(job)}: we do not know whether it finished."
        case State.EXPIRED:
            return _expired(job)


def why_failed(job: Job, details: bool) -> str:
    """Why a job failed, in plain words.

    Parameters:
        details: whether the reader may see what an unforeseen error said; it may quote arguments.
    """
    if job.reason == "poison":
        return f"{job.error[:1].upper()}{job.error[1:]}, and would harm other work."
    if job.reason in ("task", "rejected", "engine") or details:
        return job.error or "It does not say why."
    return f"An unexpected error ({job.reason}). Whoever started it, and staff, can read more here."


def ended_as(attempt: Attempt) -> str:
    """How an attempt ended."""
    return _ENDED_AS.get(attempt.outcome, attempt.outcome)


def tries(job: Job) -> int:
    """How often it was tried, without the looks after which it was put off."""
    return int(job.attempt - job.snoozes)


def nth_try(number: int) -> str:
    """``2nd try``."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending} try"


def moment(when: datetime | None) -> str:
    """A time as it is written in a sentence; the day only when it is not today."""
    if when is None:
        return ""
    utc = when.astimezone(timezone.get_fixed_timezone(0))
    same_day = utc.date() == timezone.now().date()
    return f"{utc:%H:%M:%S} UTC" if same_day else f"{utc:%Y-%m-%d %H:%M} UTC"


def to_the_minute(when: datetime) -> str:
    """A time to come, as precise as one waits for it."""
    utc = when.astimezone(timezone.get_fixed_timezone(0))
    same_day = utc.date() == timezone.now().date()
    return f"{utc:%H:%M} UTC" if same_day else f"{utc:%Y-%m-%d %H:%M} UTC"


def duration(seconds: float | None) -> str:
    """A length of time in a few words: ``0.4 s``, ``45 s``, ``2 min 05 s``, ``3 h 20 min``."""
    if seconds is None:
        return ""
    if seconds < 0.1:
        return "less than 0.1 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def name_of(user: Any) -> str:
    """A person's name as others read it."""
    return "" if user is None else (user.get_full_name() or user.get_username())


def seconds_of(job: Job) -> float | None:
    """How long the job took, or has been running; None while it has not begun."""
    if job.started_at is None:
        return None
    return ((job.finished_at or timezone.now()) - job.started_at).total_seconds()


def percent(job: Job) -> int | None:
    """How much is done, in percent; None where the task does not say."""
    if job.done is None or not job.total or job.total < 0:
        return None
    return max(0, min(100, int(100 * job.done / job.total)))


def time_left(job: Job) -> str:
    """``about 20 s left``, by the pace so far; only for a first try, since later ones skip what is done."""
    share = percent(job)
    if job.state != State.RUNNING or job.attempt != 1 or not share or share < 10 or job.claimed_at is None:
        return ""
    elapsed = (timezone.now() - job.claimed_at).total_seconds()
    if elapsed < 5 or not job.total or not job.done or job.done >= job.total:
        return ""
    left = elapsed * (job.total - job.done) / job.done
    return f"about {duration(max(10, round(left / 5) * 5))} left"


def _waiting(job: Job, turn: str) -> str:
    if job.hold == Hold.PARKED:
        return "It cannot start: no worker here knows this task."
    if job.hold == Hold.PAUSED:
        return "Waiting: staff have paused jobs like this one; it begins once they let it."
    if job.hold in (Hold.LIMIT, Hold.RATE):
        return turn or "Waiting for its turn."
    if job.reason == LATER:
        return _put_off(job)
    if job.hold == Hold.UNTIL and job.run_at is not None and job.run_at > timezone.now():
        again = f"for its {nth_try(tries(job) + 1)}" if job.failures else "to start"
        return f"Waiting {again}, not before {moment(job.run_at)}."
    if job.attempt and (job.losses or job.failures):
        return f"Waiting for its {nth_try(tries(job) + 1)}: {job.error or 'the last one was interrupted'}."
    return "Waiting to start on this server."


def _put_off(job: Job) -> str:
    """``Waiting for ATLAS, next look 14:32 UTC.``"""
    why = f"{job.error[:1].upper()}{job.error[1:]}".rstrip(". ") or "Waiting"
    if job.run_at is None or job.run_at <= timezone.now():
        return f"{why}, next look at any moment."
    return f"{why}, next look {to_the_minute(job.run_at)}."


def _expired(job: Job) -> str:
    if job.failures or job.snoozes:
        return f"Given up {_when_ended(job)}: it was too old to be tried again."
    return "Not started: it was too old when its turn came."


def _running(job: Job, stopped_by: str) -> str:
    if job.stop_requested:
        return _being_stopped(job, f" by {stopped_by}" if stopped_by else "")
    if tries(job) > 1:
        return f"Running: this is its {nth_try(tries(job))}, since {moment(job.claimed_at)}."
    return f"Running since {moment(job.started_at)}."


def _being_stopped(job: Job, by: str) -> str:
    """How hard it is urged, and when that gets harder."""
    at = f"at {moment(job.stop_next_at)}" if job.stop_next_at else "soon"
    if job.stop_stage >= Stage.KILLED:
        return f"Stopped{by}, but it does not end: the process that runs it is ended, {at} at the latest."
    if job.stop_stage == Stage.RAISED:
        return f"Stopped{by}: it was interrupted, and is ended by force {at} if it has not ended by then."
    return f"Asked to stop{by}: it ends at its next step, or is interrupted {at}."


def _done(job: Job) -> str:
    how = "Done, with warnings," if job.state == State.WARNED else "Done"
    count = f" It took {tries(job)} tries." if tries(job) > 1 else ""
    return f"{how} {_when_ended(job)}.{count}"


def _stopped(job: Job, stopped_by: str) -> str:
    if job.stop_requested:
        return f"Stopped{f' by {stopped_by}' if stopped_by else ''} {_when_ended(job)}."
    why = job.error if job.error not in ("", "stopped") else ""
    return f"Stopped {_when_ended(job)}{f': {why}' if why else ''}."


def _when_ended(job: Job) -> str:
    took = seconds_of(job)
    return f"at {moment(job.finished_at)}{f', after {duration(took)}' if took is not None else ''}"
