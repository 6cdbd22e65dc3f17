"""Makes attempts end: those whose time limit has passed, whose job is stopped, whose worker is leaving.

Whoever wants an attempt to end sets its ``ending``; here it is carried out, stage by stage: ask, interrupt,
kill. What runs in a thread of this process cannot be killed alone: then the process takes no more jobs,
another takes its place, and it is killed as soon as its other jobs have ended.
"""

from __future__ import annotations

import time

from dramatiq.middleware import TimeLimitExceeded

from tom_nightshift import events
from tom_nightshift.ledger import ending
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.dispatcher import Dispatcher
from tom_nightshift.ledger.ending import Ending, Stage

INTERVAL = 0.2
"""Seconds between two looks; no look asks the database."""


class Enforcer:
    """Looks after the attempts that a process has in hand."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher

    def tick(self) -> None:
        """Look at each attempt whose task is running."""
        for attempt in self.dispatcher.in_hand.all():
            if attempt.begun is not None and not attempt.over and not attempt.stuck:
                self._watch_the_time(attempt)
                if attempt.ending is not None:
                    self._end(attempt, attempt.ending)

    def _watch_the_time(self, attempt: Attempt) -> None:
        if attempt.seconds < attempt.terms.limit:
            return
        if attempt.ending is None:
            attempt.ending = ending.interrupt(TimeLimitExceeded)
        attempt.ending.urge(Stage.RAISED)

    def _end(self, attempt: Attempt, now: Ending) -> None:
        if now.stage < Stage.KILLED and time.monotonic() >= now.next_at:
            now.urge(Stage(now.stage + 1))
        if now.done < now.stage and self._carry_out(attempt, now):
            now.done = now.stage

    def _carry_out(self, attempt: Attempt, now: Ending) -> bool:
        """Whether it could be done; else it is tried again at the next look."""
        if now.stage == Stage.ASKED:
            if attempt.process is not None:
                attempt.process.ask_to_stop()
            return True
        if now.stage == Stage.RAISED:
            return attempt.interrupt(now.kind)
        return self._kill(attempt, now)

    def _kill(self, attempt: Attempt, now: Ending) -> bool:
        if attempt.process is not None:
            attempt.process.kill()
        else:
            attempt.stuck = True
            now.next_at = time.monotonic() + self._seconds_until_alone()
            events.attempt_stuck(attempt.job_id, attempt.task)
            self.dispatcher.retire(f"job {attempt.job_id} does not end")
        return True

    def _seconds_until_alone(self) -> float:
        """When the other jobs of this process will have ended, at the latest."""
        others = (one for one in self.dispatcher.in_hand.all() if not one.stuck)
        return max((one.terms.limit - one.seconds + 2 * ending.patience() for one in others), default=0.0)
