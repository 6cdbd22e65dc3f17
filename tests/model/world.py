"""All jobs and all workers of the model: who gets which job, and who is found dead. Plain Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tests.model.one_job import IN_THE_REQUEST, LEASE, REQUEST_TIMEOUT, End, OneJob, Words
from tests.model.sight import Sight
from tests.model.turns import Turns, in_line, next_ord
from tom_nightshift.states import Hold, State

Token = tuple[int, int]
DAY = 86_400.0
KEEP_DAYS = {State.SUCCEEDED: 30, State.WARNED: 30}
KEEP_FAILED_DAYS = 90


@dataclass(slots=True)
class WorkerRow:
    """The row of one worker."""

    elsewhere: bool
    """On another host: known by its heartbeat alone. On this one its lock says whether it lives."""

    beat_at: float
    is_alive: bool = True
    is_leaving: bool = False

    def seems_dead(self, now: float, *, by_silence: bool) -> bool:
        return by_silence and now - self.beat_at > LEASE if self.elsewhere else not self.is_alive


@dataclass(slots=True)
class World:
    """The model of everything that is stored. ``now`` is the one clock, in seconds."""

    now: float = 0.0
    jobs: dict[int, OneJob] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    workers: dict[str, WorkerRow] = field(default_factory=dict)
    taken_for_dead: set[str] = field(default_factory=set)
    paused: dict[str, str] = field(default_factory=dict)
    """Paused queues, and who paused each."""

    turns: Turns = field(default_factory=Turns)

    def seen(self) -> Sight:
        """What a look must show."""
        jobs = {job_id: job.seen() for job_id, job in sorted(self.jobs.items())}
        return Sight(jobs, frozenset(self.workers), dict(self.paused), dict(self.turns.slots))

    def running(self, worker: str) -> list[OneJob]:
        return [job for job in self.jobs.values() if job.is_run_by(worker)]

    # --- jobs come, run and go ---

    def enqueue(self, job: OneJob, delay: float, of_use: float | None) -> None:
        """``of_use``: seconds after which it is too old."""
        job.paused, job.run_at = self.paused, self.now + delay
        job.ord = next_ord(self.jobs.values(), job.owner, job.priority)
        job.hold = Hold.UNTIL
        if not delay:
            job.line_up()
        job.expires_at = None if of_use is None else self.now + of_use
        self.jobs[job.id] = job

    def ready(self, queues: Sequence[str]) -> list[OneJob]:
        """The soonest of these queues first."""
        return in_line([job for job in self.jobs.values() if job.is_ready and job.queue in queues])

    def seconds_until_due(self) -> float | None:
        held = [job.run_at - self.now for job in self.jobs.values() if job.hold == "until"]
        return min(held, default=None)

    def admit(self, at_most: int) -> int:
        return self.turns.admit(self.jobs.values(), at_most, self.now)

    def open_with(self, unique_key: str) -> OneJob | None:
        """The open job that has this key."""
        mine = (job for job in self.jobs.values() if job.unique_key == unique_key and not job.is_final)
        return next(mine, None) if unique_key else None

    def claim(self, worker: str, queues: Sequence[str], limit: int) -> list[Token]:
        return [job.claim(worker, self.now) for job in self.ready(queues)[:limit]]

    def claim_one(self, job_id: int) -> list[Token]:
        job = self.jobs.get(job_id)
        return [job.claim(IN_THE_REQUEST, self.now)] if job and job.state == State.WAITING else []

    def report(self, token: Token, words: Words) -> bool:
        job = self.jobs.get(token[0])
        return job.report(token[1], words) if job else True

    def end(self, token: Token, end: End, last_words: Words | None) -> bool:
        job = self.jobs.get(token[0])
        return job.end(token[1], end, self.now, last_words) if job else False

    def stop(self, job_id: int, by: str) -> State | None:
        job = self.jobs.get(job_id)
        return job.stop(by, self.now) if job else None

    def urge(self, token: Token, stage: int, *, has_next: bool) -> bool:
        job = self.jobs.get(token[0])
        return job.urge(token[1], stage, has_next=has_next) if job else False

    def expire(self) -> int:
        return self._count(lambda job: job.expire_if_old(self.now))

    def release_due(self) -> int:
        return self._count(lambda job: job.release_if_due(self.now))

    def release(self, job_ids: Iterable[int]) -> int:
        return self._count(lambda job: job.release_at_once(), job_ids)

    def release_parked(self, tasks: frozenset[str]) -> int:
        return self._count(lambda job: job.release_if_known(tasks))

    def prune(self) -> int:
        old = {job.id for job in self.jobs.values() if job.is_final and self._is_old(job)}
        self.removed |= old
        self.jobs = {job_id: job for job_id, job in self.jobs.items() if job_id not in old}
        return len(old)

    # --- queues are paused and resumed ---

    def pause(self, queue: str, by: str) -> int:
        """The number of jobs that it holds from now on."""
        self.paused.setdefault(queue, by)
        here = [job.id for job in self.jobs.values() if job.queue == queue]
        return self._count(lambda job: job.hold_as_its_queue(), here)

    def resume(self, queue: str) -> int:
        self.paused.pop(queue, None)
        held = [job.id for job in self.jobs.values() if job.hold == Hold.PAUSED]
        return self._count(lambda job: job.hold_as_its_queue(), held)

    def holds_are_wrong(self) -> bool:
        return any(job.is_held_wrongly for job in self.jobs.values())

    def put_holds_right(self) -> int:
        return self._count(lambda job: job.hold_as_its_queue())

    # --- workers come, are silent, and die ---

    def register(self, worker: str, *, elsewhere: bool) -> None:
        self.workers[worker] = WorkerRow(elsewhere, self.now)

    def beat(self, worker: str) -> bool:
        if worker in self.workers:
            self.workers[worker].beat_at = self.now
        return worker in self.workers

    def leave(self, worker: str) -> None:
        if worker in self.workers:
            self.workers[worker].is_leaving = True

    def sign_off(self, worker: str) -> bool:
        if self.running(worker):
            return False
        self.workers.pop(worker, None)
        return True

    def die(self, worker: str) -> None:
        """A process ends; nothing is written."""
        if worker in self.workers:
            self.workers[worker].is_alive = False

    def rescue(self, me: str, *, by_silence: bool) -> int:
        """The number of jobs that are returned."""
        dead = [
            name
            for name, row in self.workers.items()
            if name != me and row.seems_dead(self.now, by_silence=by_silence)
        ]
        return sum(self._return_jobs(name) for name in dead)

    def return_orphans(self) -> int:
        lost = [job for job in self.jobs.values() if job.state == State.RUNNING and self._is_orphan(job)]
        for job in lost:
            if job.worker == IN_THE_REQUEST:
                job.request_died(self.now)
            else:
                job.end_was_lost(self.now)
        return len(lost)

    def missing(self, worker: str, in_hand: Iterable[Token]) -> set[Token]:
        """What names this worker though no thread of it runs it."""
        return {(job.id, job.attempt) for job in self.running(worker)} - set(in_hand)

    def return_missing(self, tokens: Iterable[Token]) -> int:
        return [self.jobs[job_id].end_was_lost(self.now) for job_id, _ in tokens].count(True)

    def _count(self, act: Callable[[OneJob], bool], job_ids: Iterable[int] | None = None) -> int:
        chosen = self.jobs if job_ids is None else set(job_ids) & self.jobs.keys()
        return [act(self.jobs[job_id]) for job_id in chosen].count(True)

    def _is_old(self, job: OneJob) -> bool:
        return job.finished_at < self.now - KEEP_DAYS.get(job.state, KEEP_FAILED_DAYS) * DAY

    def _return_jobs(self, worker: str) -> int:
        row, jobs = self.workers.pop(worker), self.running(worker)
        self.taken_for_dead.add(worker)
        for job in jobs:
            if row.is_leaving:
                job.left_behind(self.now)
            else:
                job.worker_died(self.now, alone=len(jobs) == 1)
        return len(jobs)

    def _is_orphan(self, job: OneJob) -> bool:
        patience = REQUEST_TIMEOUT if job.worker == IN_THE_REQUEST else LEASE
        return job.worker not in self.workers and self.now - job.claimed_at > patience
