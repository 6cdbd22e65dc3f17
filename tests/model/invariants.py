"""What must be true of every look, and between two looks that follow each other, whatever happened.

They know nothing of the model: where it and the engine were wrong together, these would still see it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.model.one_job import IN_THE_REQUEST
from tests.model.sight import JobSeen, Sight
from tom_nightshift.states import MOVES, Hold, State

FINAL_WORDS = frozenset(state.value for state in State if not MOVES[state])


def check(before: Sight, now: Sight, *, removed: Iterable[int], may_run_without_a_row: Iterable[str]) -> None:
    """All of them.

    Parameters:
        removed: jobs that were pruned; no others may be gone.
        may_run_without_a_row: names of those that were taken for dead and may not know it yet, and of
            requests.
    """
    nothing_is_lost(before, now, set(removed))
    no_key_has_two_open_jobs(now)
    no_limit_is_exceeded(before, now)
    for job in now.jobs.values():
        open_means_somewhere(job, now.workers | set(may_run_without_a_row))
        every_ended_attempt_is_listed_once(job)
        counters_have_their_cause(job)
        if job.id in before.jobs:
            then = before.jobs[job.id]
            moves_are_legal(then, job)
            a_final_row_never_moves_again(then, job)
            a_stopped_job_never_starts(then, job)
            nothing_goes_back(then, job)
            if job.queue in before.paused.keys() & now.paused.keys():
                nothing_begins_in_a_paused_queue(then, job)


def nothing_is_lost(before: Sight, now: Sight, removed: set[int]) -> None:
    gone = before.jobs.keys() - now.jobs.keys() - removed
    assert not gone, f"jobs {sorted(gone)} are gone"


def no_key_has_two_open_jobs(now: Sight) -> None:
    keys = [job.unique_key for job in now.jobs.values() if job.is_open and job.unique_key]
    assert len(keys) == len(set(keys)), f"one key, two jobs: {keys}"


def no_limit_is_exceeded(before: Sight, now: Sight) -> None:
    """But a number that was lowered ends nothing; and what runs where it was asked for waits for no limit."""
    for key, slots in now.slots.items():
        have, had = now.admitted(key), before.admitted(key)
        assert len(have) <= slots or have <= had, f"{len(have)} of {slots} have {key}: {have}, before {had}"


def open_means_somewhere(job: JobSeen, workers: Iterable[str]) -> None:
    """An open job is ready, held for a reason, or named by somebody who runs it; a final one is nowhere."""
    if job.state == State.WAITING:
        assert job.worker == "", f"{job} waits and names a worker"
        assert job.hold not in (Hold.LIMIT, Hold.RATE) or getattr(job, f"{job.hold}_key"), f"{job}: no key"
        assert job.hold != Hold.PARKED or job.attempt, f"{job} is parked and nobody has tried it"
    elif job.state == State.RUNNING:
        assert job.worker in workers, f"{job} runs nowhere"
        assert job.hold == Hold.NONE, f"{job} runs and is held"
    else:
        assert job.hold == Hold.NONE, f"{job} is final and held"
    assert job.has_an_end == (not job.is_open), f"{job}: only a final row has an end, and each has"


def every_ended_attempt_is_listed_once(job: JobSeen) -> None:
    ended = job.attempt - 1 if job.state == State.RUNNING else job.attempt
    assert sorted(job.attempts) == list(range(1, ended + 1)), f"{job}: attempts are missing, or too many"
    finals = {number for number, outcome in job.attempts.items() if outcome in FINAL_WORDS - {"lost"}}
    assert finals <= {job.attempt}, f"{job}: an attempt followed one that ended it"


def counters_have_their_cause(job: JobSeen) -> None:
    outcomes = list(job.attempts.values())
    assert job.failures <= outcomes.count("retried"), f"{job}: a failure that nothing failed for"
    assert job.losses <= outcomes.count("lost"), f"{job}: a loss that nobody died for"
    assert job.snoozes <= outcomes.count("returned") + outcomes.count("later"), (
        f"{job}: a snooze that nobody asked for"
    )


def moves_are_legal(before: JobSeen, now: JobSeen) -> None:
    assert now.state == before.state or now.state in MOVES[State(before.state)], f"{before} became {now}"


def a_final_row_never_moves_again(before: JobSeen, now: JobSeen) -> None:
    """What an attempt says too late is noted beside it."""
    assert before.is_open or replace(now, late=before.late) == before, f"{before} was final and became {now}"


def a_stopped_job_never_starts(before: JobSeen, now: JobSeen) -> None:
    if before.stop_requested:
        assert now.stop_requested, f"{now}: a stop was forgotten"
        assert now.attempt == before.attempt, f"{now} began after it was asked to stop"
        assert now.state != State.WAITING, f"{now} would begin after it was asked to stop"


def nothing_begins_in_a_paused_queue(before: JobSeen, now: JobSeen) -> None:
    """But what runs where it was asked for waits for no queue."""
    begun = now.attempt > before.attempt
    assert not begun or now.worker == IN_THE_REQUEST, f"{now} began though its queue is paused"


def nothing_goes_back(before: JobSeen, now: JobSeen) -> None:
    """Attempts, counters, log, steps, and the progress of one attempt."""
    assert before.attempt <= now.attempt <= before.attempt + 1, f"{before} became {now}"
    for counter in ("failures", "losses", "snoozes", "stop_stage"):
        assert getattr(now, counter) >= getattr(before, counter), f"{counter} of {now} went back"
    assert before.attempts.items() <= now.attempts.items(), f"{now}: the end of an attempt was rewritten"
    for number, notes in before.late.items():
        assert now.late.get(number, ())[: len(notes)] == notes, f"{now}: a late end was forgotten"
    for number, text in before.log.items():
        assert now.log.get(number, "").startswith(text), f"{now}: its log went back from {text!r}"
    assert (before.saved or 0) <= (now.saved or 0), f"{now}: its steps went back from {before.saved}"
    if now.attempt == before.attempt:
        assert (before.done or 0) <= (now.done or 0), f"{now}: its progress went back from {before.done}"
