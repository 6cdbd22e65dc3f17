"""What must become of one job: plain Python, no database, nothing of the engine but the names of the states.

Each method is one thing that can happen to a job. It answers what the engine must answer, and afterwards the
job is what its row must be.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from tests.model.sight import JobSeen
from tom_nightshift.states import FINAL, Hold, State

MAX_LOSSES = 3
MOST_RETURNS = 3
"""How often a job whose end was lost goes back."""

LEASE = 60.0
REQUEST_TIMEOUT = 3600.0
IN_THE_REQUEST = "in the request"
MUST_NOT_RUN_TWICE = "once"
"""The task that is lost when its worker dies; all others run again."""


@dataclass(frozen=True, slots=True)
class End:
    """What an attempt wants to come to. ``state`` WAITING: its job waits again."""

    state: State
    reason: str = ""
    hold: Hold = Hold.NONE
    delay: float = 0.0
    charge: str = ""
    """The counter that goes up."""

    recorded: str = ""
    """The word in the list of attempts; by default the state."""

    message: bytes | None = None
    """The message of the next delivery; None: the one that is there."""


HANDED_BACK = End(State.WAITING, "handed back", recorded="returned")
LOST = End(State.LOST, "lost")
STOPPED_UNSEEN = End(State.STOPPED, "stopped", recorded="lost")
ENGINE = End(State.FAILED, "engine")


@dataclass(frozen=True, slots=True)
class Words:
    """What an attempt says: how far it is, which is also the step it has done, and a line for its log."""

    done: int
    line: str


@dataclass(slots=True)
class OneJob:
    """The model of one row."""

    id: int
    task: str
    message: bytes
    paused: Container[str] = ()
    """The queues that are paused at the moment."""

    queue: str = "default"
    priority: int = 0
    owner: int | None = None
    ord: int = 0
    unique_key: str = ""
    limit_key: str = ""
    rate_key: str = ""
    expires_at: float | None = None
    state: State = State.WAITING
    hold: Hold = Hold.NONE
    run_at: float = 0.0
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    snoozes: int = 0
    worker: str = ""
    claimed_at: float = 0.0
    finished_at: float = 0.0
    stop_requested: bool = False
    stop_by: str = ""
    stop_stage: int = 0
    has_next_stage: bool = False
    reason: str = ""
    done: int | None = None
    saved: int | None = None
    returns: int = 0
    attempts: dict[int, str] = field(default_factory=dict)
    late: dict[int, tuple[str, ...]] = field(default_factory=dict)
    log: dict[int, str] = field(default_factory=dict)

    @property
    def waits_for_nothing(self) -> bool:
        """Held by nothing, rightly or not."""
        return self.state == State.WAITING and not self.hold

    @property
    def is_ready(self) -> bool:
        return self.waits_for_nothing and self.queue not in self.paused

    @property
    def is_held_wrongly(self) -> bool:
        if self.state != State.WAITING or self.hold in (Hold.UNTIL, Hold.PARKED):
            return False
        return (self.hold == Hold.PAUSED) != (self.queue in self.paused)

    @property
    def is_admitted(self) -> bool:
        """Whether it has a slot, if it needs one."""
        return not self.is_final and self.hold in (Hold.NONE, Hold.RATE)

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def must_not_run_twice(self) -> bool:
        return self.task == MUST_NOT_RUN_TWICE

    def is_run_by(self, worker: str) -> bool:
        return self.state == State.RUNNING and self.worker == worker

    def claim(self, worker: str, now: float) -> tuple[int, int]:
        """A worker takes it; its token."""
        assert self.state == State.WAITING
        self.state, self.hold, self.reason = State.RUNNING, Hold.NONE, ""
        self.attempt += 1
        self.worker, self.claimed_at, self.done = worker, now, None
        return self.id, self.attempt

    def report(self, number: int, words: Words) -> bool:
        """An attempt says something; whether it is to stop."""
        if not self._is_held_by(number):
            return True
        self._take(words)
        return self.stop_requested

    def end(self, number: int, end: End, now: float, last_words: Words | None = None) -> bool:
        """An attempt ends; whether that counts."""
        if not self._is_held_by(number):
            self._note_late(number, end)
            return False
        self.attempts[number] = end.recorded or end.state
        if last_words is not None:
            self._take(last_words)
        if end.state == State.WAITING and self.stop_requested:
            self._finish(State.STOPPED, "stopped", now)
            if end.recorded != "lost":
                self.attempts[number] = State.STOPPED
        elif end.state == State.WAITING:
            self._wait_again(end, now)
        else:
            self._finish(end.state, end.reason, now)
            self._charge(end.charge)
        return True

    def stop(self, by: str, now: float) -> State | None:
        """Somebody asks it to stop."""
        if self.is_final:
            return None
        self.stop_requested, self.stop_by = True, by
        if self.state == State.RUNNING and not self.stop_stage:
            self.stop_stage, self.has_next_stage = 1, True
        if self.state == State.WAITING:
            self._finish(State.STOPPED, "stopped", now)
        return self.state

    def urge(self, number: int, stage: int, *, has_next: bool) -> bool:
        """One that was asked to stop is urged harder; whether that is news."""
        if not (self._is_held_by(number) and self.stop_requested and self.stop_stage < stage):
            return False
        self.stop_stage, self.has_next_stage = stage, has_next
        return True

    def expire_if_old(self, now: float) -> bool:
        """Nobody began it in time."""
        if self.state != State.WAITING or self.expires_at is None or self.expires_at > now:
            return False
        self._finish(State.EXPIRED, "expired", now)
        return True

    def hold_as_its_queue(self) -> bool:
        """A hold that was wrong is put right."""
        if not self.is_held_wrongly:
            return False
        self.hold = self._next_hold
        return True

    def hold_wrongly(self) -> None:
        """As if it had been written by one who did not see that its queue was paused, or resumed."""
        self.hold = self._hold_of_its_keys if self.hold == Hold.PAUSED else Hold.PAUSED

    def release_if_due(self, now: float) -> bool:
        return self._release(Hold.UNTIL) if self.run_at <= now else False

    def release_at_once(self) -> bool:
        return self._release(Hold.UNTIL)

    def release_if_known(self, tasks: frozenset[str]) -> bool:
        return self._release(Hold.PARKED) if self.task in tasks else False

    def worker_died(self, now: float, *, alone: bool) -> bool:
        """Its worker is found dead. ``alone``: it ran nothing else, so this job must have done it."""
        return self.end(self.attempt, self._after_a_loss(alone=alone), now)

    def left_behind(self, now: float) -> bool:
        """Its worker was told to end and ended before it, by nobody's fault."""
        if self.stop_requested:
            return self.worker_died(now, alone=False)
        return self.end(self.attempt, LOST if self.must_not_run_twice else HANDED_BACK, now)

    def end_was_lost(self, now: float) -> bool:
        """No thread runs it any more, and nobody said how it ended."""
        if self.stop_requested:
            return self.end(self.attempt, STOPPED_UNSEEN, now)
        if self.must_not_run_twice:
            return self.end(self.attempt, LOST, now)
        self.returns += 1
        return self.end(self.attempt, HANDED_BACK if self.returns <= MOST_RETURNS else ENGINE, now)

    def request_died(self, now: float) -> bool:
        """The web request that ran it has been gone too long."""
        return self.end(self.attempt, STOPPED_UNSEEN if self.stop_requested else LOST, now)

    def seen(self) -> JobSeen:
        """The row as a look must show it."""
        return JobSeen(
            self.id, self.state, self.hold, self.attempt, self.failures, self.losses, self.snoozes,
            self.worker, self.stop_requested, self.stop_by, self.stop_stage, self.reason, self.done,
            self.saved, self.message, self.queue, self.ord, self.unique_key, self.limit_key, self.rate_key,
            self.has_next_stage, self.is_final, dict(self.attempts),
            dict(self.late), dict(self.log),
        )  # fmt: skip

    def _is_held_by(self, number: int) -> bool:
        return self.state == State.RUNNING and self.attempt == number

    def _take(self, words: Words) -> None:
        self.done = self.saved = words.done
        self.log[self.attempt] = self.log.get(self.attempt, "") + f"{words.line}\n"

    def _wait_again(self, end: End, now: float) -> None:
        self.state, self.run_at, self.reason, self.worker = end.state, now + end.delay, end.reason, ""
        self.hold = end.hold or self._next_hold
        self.message = end.message or self.message
        self._charge(end.charge)

    def _finish(self, state: State, reason: str, now: float) -> None:
        self.state, self.hold, self.reason, self.finished_at = state, Hold.NONE, reason, now

    def _charge(self, counter: str) -> None:
        if counter:
            setattr(self, counter, getattr(self, counter) + 1)

    def _release(self, hold: Hold) -> bool:
        if self.state != State.WAITING or self.hold != hold:
            return False
        self.hold = self._next_hold
        return True

    def _note_late(self, number: int, end: End) -> None:
        if number in self.attempts:
            note = f"{end.recorded or end.state}, but too late"
            self.late[number] = (*self.late.get(number, ()), note)

    def _after_a_loss(self, *, alone: bool) -> End:
        return after_a_loss(
            self.losses, alone=alone, stop_requested=self.stop_requested, once=self.must_not_run_twice
        )

    @property
    def _next_hold(self) -> Hold:
        """Once nothing else keeps it waiting."""
        return Hold.PAUSED if self.queue in self.paused else self._hold_of_its_keys

    @property
    def _hold_of_its_keys(self) -> Hold:
        return Hold.LIMIT if self.limit_key else Hold.RATE if self.rate_key else Hold.NONE

    def line_up(self) -> None:
        """It is asked for, and nothing else keeps it waiting."""
        self.hold = self._next_hold


def after_a_loss(losses: int, *, alone: bool, stop_requested: bool, once: bool) -> End:
    """What the death of the process that ran a job comes to.

    Parameters:
        losses: how often that has happened before.
        once: whether its task must not run twice.
    """
    if stop_requested:
        return End(State.STOPPED, "stopped", charge="losses", recorded="lost")
    if once:
        return End(State.LOST, "lost", charge="losses", recorded="lost")
    if alone and losses + 1 >= MAX_LOSSES:
        return End(State.FAILED, "poison", charge="losses", recorded="lost")
    return End(State.WAITING, "worker died", charge="losses", recorded="lost")
