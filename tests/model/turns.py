"""Who may begin, in the model: slots, rates, and the order in which owners take turns. Plain Python."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tests.model.one_job import OneJob
from tom_nightshift.states import Hold, State

DAY = 86_400.0

UNDECLARED = 1


@dataclass(slots=True)
class Rate:
    """So many in a day: long beside all that the clock jumps, so that no jump ends at its border."""

    number: int
    began: list[float] = field(default_factory=list)

    def counted(self, now: float) -> list[float]:
        """Those of the last day; a clock that was put back counts what has not come yet as of now."""
        return [min(moment, now) for moment in self.began if moment > now - DAY]

    def room(self, now: float) -> int:
        return max(0, self.number - len(self.counted(now)))

    def take(self, many: int, now: float) -> None:
        if many:
            self.began = [*self.counted(now), *[now] * many]


@dataclass(slots=True)
class Turns:
    """What is declared, by key."""

    slots: dict[str, int] = field(default_factory=dict)
    rates: dict[str, Rate] = field(default_factory=dict)

    def declare(self, job: OneJob, slots: int, rate: int) -> None:
        """What is there stays."""
        if job.limit_key:
            self.slots.setdefault(job.limit_key, slots)
        if job.rate_key:
            self.rates.setdefault(job.rate_key, Rate(rate))

    def renumber(self, key: str, slots: int) -> int:
        """A worker declares another number; how many rows said otherwise."""
        if self.slots.get(key, slots) == slots:
            return 0
        self.slots[key] = slots
        return 1

    def admit(self, jobs: Collection[OneJob], at_most: int, now: float) -> int:
        """How many are ready then that were not."""
        by_limit = sum(self._give_slots(jobs, key) for key in sorted(self.slots))
        return by_limit + sum(self._let_go(jobs, key, at_most, now) for key in sorted(self.rates))

    def _give_slots(self, jobs: Collection[OneJob], key: str) -> int:
        taken = [job for job in jobs if job.limit_key == key and job.is_admitted]
        waiting = [job for job in jobs if job.limit_key == key and job.hold == Hold.LIMIT]
        chosen = in_line(waiting)[: max(0, self.slots[key] - len(taken))]
        for job in chosen:
            job.hold = Hold.RATE if job.rate_key else Hold.NONE
        return sum(job.hold == Hold.NONE for job in chosen)

    def _let_go(self, jobs: Collection[OneJob], key: str, at_most: int, now: float) -> int:
        mine = [job for job in jobs if job.rate_key == key]
        is_under_way = any(job.waits_for_nothing for job in mine)
        many = 0 if is_under_way else min(at_most, self.rates[key].room(now))
        chosen = in_line([job for job in mine if job.hold == Hold.RATE])[:many]
        for job in chosen:
            job.hold = Hold.NONE
        self.rates[key].take(len(chosen), now)
        return len(chosen)


def in_line(jobs: Collection[OneJob]) -> list[OneJob]:
    """Those whose queue is not paused, the soonest first."""
    there = (job for job in jobs if job.queue not in job.paused)
    return sorted(there, key=lambda job: (job.priority, job.ord, job.id))


def next_ord(jobs: Collection[OneJob], owner: int | None, priority: int) -> int:
    """The number of a new job: after the last of its owner's that waits, and after what runs."""
    line = [job for job in jobs if job.priority == priority]
    running = [job.ord for job in line if job.state == State.RUNNING]
    ready = [job.ord for job in line if job.waits_for_nothing]
    lane = [job.ord for job in line if job.state == State.WAITING and job.owner == owner]
    return 1 + max(0, *running, min(ready, default=1) - 1, *lane)
