"""Where the lives are played: the database, the workers, the model, and how a deed is done on all of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import dramatiq
from hypothesis.stateful import RuleBasedStateMachine

from tests.model import invariants
from tests.model.crew import QUEUES, Hand, Worker
from tests.model.deeds import Deed, Deeds
from tests.model.endings import Way, bring_about, done
from tests.model.one_job import IN_THE_REQUEST, OneJob
from tests.model.overlap import overlap
from tests.model.sight import Sight, look
from tests.model.world import DAY, World
from tom_nightshift.ledger import clock, holding, moves, pruning
from tom_nightshift.ledger.session import OwnConnection
from tom_nightshift.states import Hold, State

MOST_OPEN = 5
"""Few jobs at a time, so that much happens to each."""

LONGER_THAN_A_DAY = 1.02 * DAY
"""A rate's log is coarse by a hundredth of its period."""

EVERYTHING_IS_OVER = 0.5 * DAY
"""Seconds: longer than every delay and every patience, and shorter than what is kept."""

TABLES = (
    *pruning.PARTS, "tom_nightshift_job", "tom_nightshift_worker", "tom_nightshift_queue",
    "tom_nightshift_limit",
)  # fmt: skip

Chosen = TypeVar("Chosen")


class Stage(RuleBasedStateMachine):
    """All but the rules.

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
        self.crew = [
            Worker(False, everything - {"strange"}, QUEUES),
            Worker(True, everything, QUEUES),
            Worker(True, everything, QUEUES[:1]),
        ]
        self.requests: list[Hand] = []
        self.ended: list[Hand] = []
        self.sent: dict[int, dramatiq.Message[Any]] = {}
        self.before = Sight({}, frozenset(), {}, {})
        self.is_sound = True
        """Whether all that happened has been looked at and was right."""

    # --- what is looked at after every rule, and at the end of each life ---

    def look_at_everything(self) -> None:
        self.is_sound = False
        with self.mine.reading() as sql:
            now = look(sql)
            worth = [moves.worth_claiming(sql, [queue]) for queue in QUEUES]
            is_wrong = holding.is_wrong(sql)
        names = self.world.taken_for_dead | {IN_THE_REQUEST}
        invariants.check(self.before, now, removed=self.world.removed, may_run_without_a_row=names)
        assert now == self.world.seen(), differences(now, self.world.seen())
        assert [claim.is_ready for claim in worth] == [bool(self.world.ready([queue])) for queue in QUEUES]
        assert is_wrong == self.world.holds_are_wrong()
        is_none_due = self.world.seconds_until_due() is None
        assert [claim.until_due is None for claim in worth] == [is_none_due] * len(QUEUES)
        self.before, self.is_sound = now, True

    def every_job_comes_to_its_end(self) -> None:
        for worker in self.living():
            self.die(worker)
        clock.step(EVERYTHING_IS_OVER)
        for queue in QUEUES:
            self.do("resume", self.deeds.resume(queue))
        last = self.crew[1]
        self.do("begin", self.deeds.begin(last))
        self.do("rescue", self.deeds.rescue(last, by_silence=True))
        self.do("put right", self.deeds.put_right(last))
        for _ in range(MOST_OPEN * 2):  # two begin a day, at the worst
            self.do("turn", self.deeds.turn(last, limit=100))
            while last.in_hand:
                assert self.do("end: done", self.an_end(last.in_hand.pop(), done))
            clock.step(LONGER_THAN_A_DAY)
        self.look_at_everything()
        assert not [job for job in self.before.jobs.values() if job.is_open]
        self.tally.update(f"ended: {job.state}, {job.reason}" for job in self.before.jobs.values())

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
        self.answer_of(what, answer, deed.expect())
        deed.once_kept()
        return answer

    def answer_of(self, what: str, answer: Any, expected: Any) -> None:
        assert answer == expected, f"{what}: answered {answer}, must be {expected}"
        self.tally[f"{what} → {summary(answer)}"] += 1

    def do_both(
        self,
        what: str,
        first: Deed,
        second: Deed,
        *,
        commits: bool = True,
        second_answers: bool = True,
        then: Sequence[Deed] = (),
    ) -> None:
        """Do the second while the first one's transaction is open.

        Parameters:
            commits: whether the first one's transaction is kept.
            second_answers: whether the second knows what it is to answer.
            then: what follows before all is looked at, and may find nothing to do, or something.
        """
        self.tick(what if commits else f"{what}, rolled back")
        answers = overlap(self.mine, first.act, self.other, second.act, commits=commits)
        kept = [first, second] if commits else [second]
        expected = [deed.expect() for deed in kept]
        counted = len(kept) if second_answers else len(kept) - 1
        assert answers[-len(kept) :][:counted] == expected[:counted], f"{what}: {answers}, must be {expected}"
        for deed in kept:
            deed.once_kept()
        for deed in then:
            with self.mine.transaction() as sql:
                deed.act(sql)
            deed.expect()
            deed.once_kept()

    def tick(self, what: str) -> None:
        """Something is about to happen; what happened before in the same step is looked at first."""
        if not self.is_sound:
            self.look_at_everything()
        self.is_sound = False
        self.tally["operations"] += 1
        self.tally[what] += 1
        self.world.now = clock.offset() + time.monotonic()

    def an_end(self, hand: Hand, way: Way, *, last_words: bool = False) -> Deed:
        return self.deeds.end(hand, bring_about(hand.attempt, way, hand.message), last_words=last_words)

    def ask_for(self, task: str, delay: int = 0, of_use: int | None = None, owner: int | None = None) -> None:
        """``delay``, ``of_use``: seconds until it may begin, and until it is too old."""
        self.tick("enqueue")
        actor = self.tasks[task]
        too_old: dict[str, Any] = {} if of_use is None else {"max_age": of_use * 1000}
        message = actor.send_with_options(delay=delay * 1000 or None, owner=owner, **too_old)
        job = OneJob(self.row_of(message), task, message.encode(), owner=owner)
        job.queue, job.priority = message.queue_name, actor.priority
        job.unique_key = actor.options.get("unique", "")
        job.limit_key, slots = actor.options.get("limit", ("", 0))
        job.rate_key, rate = actor.options.get("rate", ("", "0/d"))
        if there := self.world.open_with(job.unique_key):
            assert job.id == there.id, f"{there} is open, and {job} was written"
            self.tally["asked for the same"] += 1
            return
        self.world.turns.declare(job, slots, int(rate.partition("/")[0]))
        self.world.enqueue(job, delay, of_use)
        self.sent[job.id] = message

    def pause(self, queue: str, by: str) -> None:
        self.tick("pause")
        self.answer_of("pause", holding.pause_queue(queue, by), self.world.pause(queue, by))

    def resume(self, queue: str) -> None:
        self.tick("resume")
        self.answer_of("resume", holding.resume_queue(queue), self.world.resume(queue))

    def begin(self, one: int) -> Worker:
        worker = pick([worker for worker in self.crew if worker.presence is None], one)
        self.do("begin", self.deeds.begin(worker))
        return worker

    def die(self, worker: Worker) -> None:
        self.tick("death")
        self.world.die(worker.name)
        worker.die()

    def beat_of(self, worker: Worker) -> None:
        if self.do("beat", self.deeds.beat(worker)):
            self.do("put right", self.deeds.put_right(worker))
        else:
            worker.give_up_its_name()
            self.do("begin anew", self.deeds.begin(worker))

    def row_of(self, message: dramatiq.Message[Any]) -> int:
        with self.mine.reading() as sql:
            rows = sql.rows(
                "SELECT id FROM tom_nightshift_job WHERE message_id = %s", [sql.uuid(message.message_id)]
            )
        assert len(rows) == 1, f"{message} was accepted and has {len(rows)} rows"
        return int(rows[0][0])

    # --- who and what is there; where nobody or nothing is, somebody comes, so that no step is wasted ---

    def open_jobs(self) -> int:
        return sum(not job.is_final for job in self.world.jobs.values())

    def living(self) -> list[Worker]:
        return [worker for worker in self.crew if worker.presence is not None]

    def claimers(self) -> list[Worker]:
        return [worker for worker in self.living() if not worker.is_leaving]

    def claimer(self, one: int) -> Worker:
        return pick(self.claimers(), one) if self.claimers() else self.begin(one)

    def in_hand(self, one: int) -> Hand:
        """An attempt that some process is running."""
        if not self.hands():
            worker = self.claimer(one)
            if not self.world.ready(worker.queues):
                if "default" in self.world.paused:
                    self.resume("default")
                self.ask_for("plain")
            self.do("turn", self.deeds.turn(worker, 1))
        return pick(self.hands(), one)

    def begun_again(self, hand: Hand, worker: Worker) -> Hand | None:
        """The next attempt of the same job, if this worker gets it now."""
        self.do("turn", self.deeds.turn(worker, 100))
        return next((again for again in worker.in_hand if again.token[0] == hand.token[0]), None)

    def one_that_may_expire(self) -> None:
        """See that one waits that is of use for a time only."""
        waiting = (job for job in self.world.jobs.values() if job.state == State.WAITING)
        if all(job.expires_at is None for job in waiting):
            self.ask_for("plain", of_use=40)

    def held_by_their_queues(self) -> list[OneJob]:
        """Jobs that nothing but their queues may keep waiting."""
        return [
            job
            for job in self.world.jobs.values()
            if job.state == State.WAITING and job.hold not in (Hold.UNTIL, Hold.PARKED)
        ]

    def hands(self) -> list[Hand]:
        return [hand for in_hand in self._all_in_hand() for hand in in_hand]

    def let_go(self, hand: Hand) -> Hand:
        """Its process has it no more."""
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
    if isinstance(answer, dict):
        return ", ".join(name for name, part in answer.items() if part not in (0, (False, 0))) or "nothing"
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
