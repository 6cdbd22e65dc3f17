"""Random lives of jobs on a real database: the engine and the model do the same, and must come to the same.

A rule is one thing that happens; it draws what it needs, and does one deed or a few. After every rule all that
is stored is compared with the model, and held against the invariants. At the end of each life whoever still
lives dies, a new worker takes over, and every job that was accepted must come to its end.

To add a thing that can happen: what it does to one job in ``one_job.py``, to all of them in ``world.py``, the
deed in ``deeds.py``, and a rule here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import dramatiq
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model import invariants
from tests.model.crew import QUEUES, Hand, Worker
from tests.model.deeds import Deed, Deeds
from tests.model.endings import AGAIN, WAYS, bring_about, done
from tests.model.one_job import IN_THE_REQUEST, OneJob
from tests.model.overlap import Undo, overlap
from tests.model.sight import Sight, look
from tests.model.world import DAY, World
from tom_nightshift.ledger import clock, moves, pruning
from tom_nightshift.ledger.session import OwnConnection
from tom_nightshift.states import Hold

MOST_OPEN = 5
"""Few jobs at a time, so that much happens to each."""

EVERYTHING_IS_OVER = 0.5 * DAY
"""Longer than every delay and every patience, and shorter than what is kept."""

STEPS = (7.0, 61.0, 607.0, 3607.0, -7.0, -61.0, -3607.0)
"""Seconds by which the clock jumps; none of them, nor their sums, hits a delay or a patience exactly."""

TABLES = (*pruning.PARTS, "tom_nightshift_job", "tom_nightshift_worker")

which = st.integers(0, 11)
"""One of those that are there at the moment."""

tasks = st.sampled_from(["plain", "once", "strange"])
ways = st.sampled_from([*WAYS, *AGAIN, *AGAIN])
"""Mostly those after which the job goes on."""

Chosen = TypeVar("Chosen")


class LivesOfJobs(RuleBasedStateMachine):
    """The machine.

    Parameters:
        tasks: the tasks by name, declared on a real broker.
        tally: counts what happened, over all lives.
    """

    def __init__(self, tasks: Mapping[str, dramatiq.Actor[..., Any]], tally: Counter[str]) -> None:
        super().__init__()
        self.tasks = tasks
        self.tally = tally
        self.world = World()
        self.deeds = Deeds(self.world)
        self.mine, self.other = OwnConnection(), OwnConnection()
        everything = frozenset(tasks)
        self.crew = [Worker(False, everything - {"strange"}), Worker(True, everything), Worker(True, everything)]
        self.requests: list[Hand] = []
        self.ended: list[Hand] = []
        self.sent: dict[int, dramatiq.Message[Any]] = {}
        self.before = Sight({}, frozenset())
        self.is_sound = True

    @initialize(first=tasks, second=tasks, limit=st.integers(0, 2))
    def a_site_at_work(self, first: str, second: str, limit: int) -> None:
        """From the first step on there is something that things can happen to."""
        for worker in self.crew:
            self.do("begin", self.deeds.begin(worker))
        for task in (first, second):
            self.enqueue(task, 0)
        self.do("turn", self.deeds.turn(self.crew[limit], limit))

    # --- asking for jobs ---

    @precondition(lambda self: self.open_jobs() < MOST_OPEN)
    @rule(task=tasks, delay=st.sampled_from([0, 0, 30, 600]))
    def enqueue(self, task: str, delay: int) -> None:
        self.tick("enqueue")
        actor = self.tasks[task]
        message = actor.send_with_options(delay=delay * 1000 or None)
        job = OneJob(self.row_of(message), task, message.encode(), actor.priority)
        job.hold = Hold.UNTIL if delay else Hold.NONE
        self.world.enqueue(job, delay)
        self.sent[job.id] = message

    @precondition(lambda self: self.world.jobs)
    @rule(one=which)
    def enqueue_in_vain(self, one: int) -> None:
        """In a transaction that is rolled back; and a message that has its row already."""
        self.tick("enqueue in vain")
        message = self.sent[pick(list(self.world.jobs), one)]
        task = self.tasks[message.actor_name]
        with suppress(Undo), transaction.atomic():
            task.send()
            raise Undo
        task.broker.enqueue(message)

    # --- running them ---

    @precondition(lambda self: self.claimers())
    @rule(one=which, limit=st.integers(1, 3))
    def turn(self, one: int, limit: int) -> None:
        self.do("turn", self.deeds.turn(pick(self.claimers(), one), limit))

    @precondition(lambda self: self.sent)
    @rule(one=which)
    def claim_in_a_request(self, one: int) -> None:
        self.do("claim in a request", self.deeds.claim_in_request(pick(list(self.sent), one), self.requests))

    @precondition(lambda self: self.hands())
    @rule(one=which)
    def report(self, one: int) -> None:
        self.do("report", self.deeds.report(pick(self.hands(), one)))

    @precondition(lambda self: self.hands())
    @rule(one=which, way=ways, last_words=st.booleans())
    def end(self, one: int, way: Any, last_words: bool) -> None:
        hand = self.let_go(one)
        self.do(f"end: {way.__name__}", self.an_end(hand, way, last_words=last_words))
        self.ended.append(hand)

    @precondition(lambda self: self.ended)
    @rule(one=which, way=ways)
    def end_once_more(self, one: int, way: Any) -> None:
        deed = self.an_end(pick(self.ended, one), way, last_words=True)
        assert self.do("end once more", deed) is False

    @precondition(lambda self: self.hands())
    @rule(one=which)
    def a_thread_dies(self, one: int) -> None:
        """Nobody ends what it was running; a worker that lives sees it when it compares."""
        self.tick("a thread dies")
        self.let_go(one)

    # --- people, the clock, and what is due ---

    @precondition(lambda self: self.sent)
    @rule(one=which, by=st.sampled_from(["", "ann"]))
    def stop(self, one: int, by: str) -> None:
        self.do("stop", self.deeds.stop(pick(list(self.sent), one), by))

    @precondition(lambda self: self.sent)
    @rule(some=st.sets(which, max_size=3))
    def release(self, some: set[int]) -> None:
        ids = [pick(list(self.sent), one) for one in sorted(some)]
        self.do("release", self.deeds.release(ids))

    @rule(seconds=st.sampled_from(STEPS))
    def step_the_clock(self, seconds: float) -> None:
        self.tick("clock back" if seconds < 0 else "clock forward")
        clock.step(seconds)

    @rule(days=st.sampled_from([0, 31, 91]))
    def prune(self, days: int) -> None:
        clock.step(days * DAY)
        self.tick(f"prune after {days} days")
        assert pruning.prune(self.mine) == self.world.prune()

    # --- workers ---

    @precondition(lambda self: self.living())
    @rule(one=which)
    def beat(self, one: int) -> None:
        worker = pick(self.living(), one)
        if self.do("beat", self.deeds.beat(worker)):
            self.do("put right", self.deeds.put_right(worker))
        else:
            assert worker.presence is not None
            worker.presence.release_lock()
            self.do("begin anew", self.deeds.begin(worker))

    @precondition(lambda self: len(self.living()) < len(self.crew))
    @rule(one=which)
    def a_worker_begins(self, one: int) -> None:
        gone = [worker for worker in self.crew if worker.presence is None]
        self.do("begin", self.deeds.begin(pick(gone, one)))

    @precondition(lambda self: self.living())
    @rule(one=which)
    def a_worker_dies(self, one: int) -> None:
        self.tick("death")
        worker = pick(self.living(), one)
        self.world.die(worker.name)
        worker.die()

    @precondition(lambda self: self.claimers())
    @rule(one=which)
    def a_worker_is_told_to_end(self, one: int) -> None:
        worker = pick(self.claimers(), one)
        self.do("leave", self.deeds.leave(worker))
        worker.is_leaving = True

    @precondition(lambda self: any(worker.is_leaving for worker in self.living()))
    @rule(one=which)
    def a_worker_signs_off(self, one: int) -> None:
        leaving = [worker for worker in self.living() if worker.is_leaving]
        self.do("sign off", self.deeds.sign_off(pick(leaving, one)))

    @precondition(lambda self: self.living())
    @rule(one=which, by_silence=st.booleans())
    def rescue(self, one: int, by_silence: bool) -> None:
        self.do("rescue", self.deeds.rescue(pick(self.living(), one), by_silence=by_silence))

    # --- two transactions at once ---

    @precondition(lambda self: self.hands())
    @rule(one=which, way=ways, ends_first=st.booleans(), commits=st.booleans())
    def a_stop_meets_an_end(self, one: int, way: Any, ends_first: bool, commits: bool) -> None:
        hand = pick(self.hands(), one)
        deeds = [self.deeds.stop(hand.token[0], "ann"), self.an_end(hand, way)]
        self.do_both("stop and end", *(reversed(deeds) if ends_first else deeds), commits=commits)
        if commits or not ends_first:
            self.ended.append(self.let_go(one))

    @precondition(lambda self: self.hands() and self.living())
    @rule(one=which, by=which, way=ways, rescue_first=st.booleans())
    def a_rescue_meets_an_end(self, one: int, by: int, way: Any, rescue_first: bool) -> None:
        hand = self.let_go(one)
        deeds = [self.deeds.rescue(pick(self.living(), by), by_silence=True), self.an_end(hand, way)]
        # The rescuer that comes second may count a job that has just ended: only the rows matter then.
        self.do_both(
            "rescue and end",
            *(deeds if rescue_first else reversed(deeds)),
            commits=True,
            second_answers=rescue_first,
        )
        self.ended.append(hand)

    @precondition(lambda self: len(self.living()) > 1)
    @rule(one=which)
    def two_rescuers_meet(self, one: int) -> None:
        first, second = pick(self.living(), one), pick(self.living(), one + 1)
        deeds = (self.deeds.rescue(by, by_silence=True) for by in (first, second))
        self.do_both("two rescuers", *deeds, commits=True)

    @precondition(lambda self: self.claimers() and self.sent)
    @rule(one=which, job=which, commits=st.booleans())
    def a_claim_meets_a_stop(self, one: int, job: int, commits: bool) -> None:
        claim = self.deeds.claim(pick(self.claimers(), one), 2)
        stop = self.deeds.stop(pick(list(self.sent), job), "ann")
        self.do_both("claim, stop", claim, stop, commits=commits)

    @precondition(lambda self: self.claimers() and self.sent)
    @rule(one=which, job=which)
    def a_stop_meets_a_claim(self, one: int, job: int) -> None:
        claim = self.deeds.claim(pick(self.claimers(), one), 2)
        stop = self.deeds.stop(pick(list(self.sent), job), "ann")
        self.do_both("stop, claim", stop, claim, commits=True)

    @precondition(lambda self: self.claimers())
    @rule(one=which, limit=st.integers(1, 3))
    def two_claims_meet(self, one: int, limit: int) -> None:
        first, second = pick(self.claimers(), one), pick(self.claimers(), one + 1)
        claims = (self.deeds.claim(worker, limit) for worker in (first, second))
        self.do_both("two claims", *claims, commits=True)

    # --- after every rule, and at the end of each life ---

    @invariant()
    def what_is_stored_is_what_must_be(self) -> None:
        self.is_sound = False
        with self.mine.reading() as sql:
            now = look(sql)
            is_ready, until_due = moves.anything_ready(sql, QUEUES), moves.seconds_until_due(sql)
        names = self.world.taken_for_dead | {IN_THE_REQUEST}
        invariants.check(self.before, now, removed=self.world.removed, may_run_without_a_row=names)
        assert now == self.world.seen(), differences(now, self.world.seen())
        assert is_ready == bool(self.world.ready())
        assert (until_due is None) == (self.world.seconds_until_due() is None)
        self.before, self.is_sound = now, True

    def teardown(self) -> None:
        try:
            if self.is_sound:  # else what went wrong is told already
                self.every_job_comes_to_its_end()
        finally:
            self.clean_up()

    def every_job_comes_to_its_end(self) -> None:
        for worker in self.living():
            self.world.die(worker.name)
            worker.die()
        clock.step(EVERYTHING_IS_OVER)
        last = self.crew[1]
        self.do("begin", self.deeds.begin(last))
        self.do("rescue", self.deeds.rescue(last, by_silence=True))
        self.do("put right", self.deeds.put_right(last))
        self.do("turn", self.deeds.turn(last, limit=100))
        self.what_is_stored_is_what_must_be()
        for hand in last.in_hand:
            assert self.do("end: done", self.an_end(hand, done))
        self.what_is_stored_is_what_must_be()
        assert not [job for job in self.before.jobs.values() if job.is_open]

    def clean_up(self) -> None:
        for worker in self.crew:
            worker.end_well()
        with self.mine.transaction() as sql:
            for table in TABLES:
                sql.run(f"DELETE FROM {table}")
        clock.step(-clock.offset())
        self.mine.close()
        self.other.close()

    # --- how a rule does something ---

    def do(self, what: str, deed: Deed) -> Any:
        """Do it here and in the model; the answer, which both must give."""
        self.tick(what)
        with self.mine.transaction() as sql:
            answer = deed.act(sql)
        expected = deed.expect()
        assert answer == expected, f"{what}: answered {answer}, must be {expected}"
        deed.once_kept()
        self.tally[f"{what} → {summary(answer)}"] += 1
        return answer

    def do_both(
        self, what: str, first: Deed, second: Deed, *, commits: bool, second_answers: bool = True
    ) -> None:
        """Do the second while the first one's transaction is open."""
        self.tick(what if commits else f"{what}, rolled back")
        answers = overlap(self.mine, first.act, self.other, second.act, commits=commits)
        kept = [first, second] if commits else [second]
        expected = [deed.expect() for deed in kept]
        counted = len(kept) if second_answers else len(kept) - 1
        assert answers[-len(kept) :][:counted] == expected[:counted], f"{what}: {answers}, must be {expected}"
        for deed in kept:
            deed.once_kept()

    def tick(self, what: str) -> None:
        self.is_sound = False
        self.tally["operations"] += 1
        self.tally[what] += 1
        self.world.now = clock.offset() + time.monotonic()

    def an_end(self, hand: Hand, way: Callable[..., Any], *, last_words: bool = False) -> Deed:
        return self.deeds.end(hand, bring_about(hand.attempt, way, hand.message), last_words=last_words)

    def row_of(self, message: dramatiq.Message[Any]) -> int:
        with self.mine.reading() as sql:
            rows = sql.rows(
                "SELECT id FROM tom_nightshift_job WHERE message_id = %s", [sql.uuid(message.message_id)]
            )
        assert len(rows) == 1, f"{message} was accepted and has {len(rows)} rows"
        return int(rows[0][0])

    # --- who and what is there ---

    def open_jobs(self) -> int:
        return sum(not job.is_final for job in self.world.jobs.values())

    def living(self) -> list[Worker]:
        return [worker for worker in self.crew if worker.presence is not None]

    def claimers(self) -> list[Worker]:
        return [worker for worker in self.living() if not worker.is_leaving]

    def hands(self) -> list[Hand]:
        return [hand for in_hand in self._all_in_hand() for hand in in_hand]

    def let_go(self, one: int) -> Hand:
        hand = pick(self.hands(), one)
        for in_hand in self._all_in_hand():
            if hand in in_hand:
                in_hand.remove(hand)
        return hand

    def _all_in_hand(self) -> list[list[Hand]]:
        return [self.requests, *(worker.in_hand for worker in self.crew)]


def pick(those: Sequence[Chosen], one: int) -> Chosen:
    return those[one % len(those)]


def summary(answer: Any) -> str:
    """An answer without the numbers of jobs."""
    if isinstance(answer, list | set):
        return str(len(answer))
    if isinstance(answer, tuple):
        return ", ".join(summary(part) for part in answer)
    return str(answer)


def differences(found: Sight, expected: Sight) -> str:
    """Which column of which job is not what it must be."""
    lines = [f"workers: {found.workers}, must be {expected.workers}"] * (found.workers != expected.workers)
    for job_id in sorted(found.jobs.keys() | expected.jobs.keys()):
        if job_id not in found.jobs or job_id not in expected.jobs:
            lines.append(f"job {job_id} must {'' if job_id in expected.jobs else 'not '}be there")
            continue
        for column in found.jobs[job_id].__slots__:
            is_it, must_be = getattr(found.jobs[job_id], column), getattr(expected.jobs[job_id], column)
            if is_it != must_be:
                lines.append(f"job {job_id}: {column} is {is_it!r}, must be {must_be!r}")
    return "; ".join(lines)
