"""Random lives of jobs on a real database: the engine and the model do the same, and must come to the same.

A rule is one thing that happens; it draws what it needs, and does one deed or a few. After every rule
all that is stored is compared with the model, and held against the invariants. At the end of each life
whoever still lives dies, a new worker takes over, and every job that was accepted must come to its end.

To add a thing that can happen: what it does to one job in ``one_job.py``, to all of them in ``world.py``, the
deed in ``deeds.py``, and a rule here.
"""

from __future__ import annotations

from contextlib import suppress

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from tests.model.crew import QUEUES, Hand
from tests.model.endings import AGAIN, WAYS, Way
from tests.model.one_job import LEASE
from tests.model.overlap import Undo
from tests.model.stage import MOST_OPEN, Stage, pick
from tests.model.world import DAY
from tom_nightshift.ledger import clock, holding, pruning

A_LEASE = LEASE + 1.3
LONGER_THAN_A_REQUEST = 3607.3

STEPS = (7.3, 61.3, 607.3, LONGER_THAN_A_REQUEST, -7.7, -61.7, -3607.7)
"""Seconds by which the clock jumps: no sum of few of them hits a delay or a patience, which are whole."""

which = st.integers(0, 11)
"""One of those that are there at the moment."""

queues = st.sampled_from(QUEUES)
tasks = st.sampled_from(["plain", "once", "strange", "few", "few", "slow", "both", "single"])
limited = st.sampled_from(["few", "few", "both", "slow"])
owners = st.sampled_from([None, 7, 8])
ways = st.sampled_from([*WAYS, *AGAIN])
"""Mostly those after which the job goes on."""


class LivesOfJobs(Stage):
    """The rules."""

    @initialize(first=tasks, second=tasks, limit=st.integers(0, 2))
    def a_site_at_work(self, first: str, second: str, limit: int) -> None:
        """From the first step on there is something that things can happen to."""
        for worker in self.crew:
            self.do("begin", self.deeds.begin(worker))
        for task in (first, second):
            self.ask_for(task)
        self.do("turn", self.deeds.turn(self.crew[limit], limit))

    # --- asking for jobs ---

    @precondition(lambda self: self.open_jobs() < MOST_OPEN)
    @rule(
        task=tasks,
        delay=st.sampled_from([0, 0, 30, 600]),
        of_use=st.sampled_from([None, None, 40, 3000]),
        owner=owners,
    )
    def enqueue(self, task: str, delay: int, of_use: int | None, owner: int | None) -> None:
        self.ask_for(task, delay, of_use, owner)

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

    @rule(one=which, limit=st.integers(1, 3))
    def turn(self, one: int, limit: int) -> None:
        self.do("turn", self.deeds.turn(self.claimer(one), limit))

    @rule(at_most=st.integers(0, 3))
    def admit(self, at_most: int) -> None:
        self.do("admit", self.deeds.admit(at_most))

    @rule(slots=st.integers(1, 3))
    def declare_another_number(self, slots: int) -> None:
        self.do("renumber", self.deeds.renumber("ATLAS", slots))

    @precondition(lambda self: self.open_jobs() < MOST_OPEN)
    @rule(
        wanted=st.lists(st.tuples(limited, owners), min_size=2, max_size=4),
        slots=st.integers(1, 2),
        one=which,
        way=ways,
        pauses=st.booleans(),
    )
    def many_want_the_same(
        self, wanted: list[tuple[str, int | None]], slots: int, one: int, way: Way, pauses: bool
    ) -> None:
        """More than may have it; then one that has it ends, and the next has its turn."""
        for task, owner in wanted:
            self.ask_for(task, owner=owner)
        self.do("renumber", self.deeds.renumber("ATLAS", slots))
        worker = self.claimer(one)
        self.do("turn", self.deeds.turn(worker, 2))
        self.look_at_everything()
        hand = self.let_go(self.in_hand(one))
        self.do(f"end: {way.__name__}", self.an_end(hand, way))
        self.ended.append(hand)
        if pauses:
            self.pause("default", "ann")
        self.do("turn", self.deeds.turn(worker, 2))

    @rule(one=which)
    def claim_in_a_request(self, one: int) -> None:
        job_id = pick(list(self.sent), one)
        self.do("claim in a request", self.deeds.claim_in_request(job_id, self.requests))

    @rule(one=which)
    def report(self, one: int) -> None:
        self.do("report", self.deeds.report(self.in_hand(one)))

    @rule(one=which, way=ways, last_words=st.booleans())
    def end(self, one: int, way: Way, last_words: bool) -> None:
        hand = self.let_go(self.in_hand(one))
        self.do(f"end: {way.__name__}", self.an_end(hand, way, last_words=last_words))
        self.ended.append(hand)

    @precondition(lambda self: self.ended)
    @rule(one=which, way=ways)
    def end_once_more(self, one: int, way: Way) -> None:
        deed = self.an_end(pick(self.ended, one), way, last_words=True)
        assert self.do("end once more", deed) is False

    @rule(one=which)
    def a_thread_dies(self, one: int) -> None:
        """Nobody ends what it was running; a worker that lives sees it when it compares."""
        self.tick("a thread dies")
        self.let_go(self.in_hand(one))

    @rule(one=which, times=st.integers(1, 4))
    def the_end_of_a_job_is_lost_again_and_again(self, one: int, times: int) -> None:
        hand: Hand | None = self.in_hand(one)
        for _ in range(times):
            worker = next((worker for worker in self.living() if hand in worker.in_hand), None)
            if hand is None or worker is None:
                return
            self.tick("a thread dies")
            self.let_go(hand)
            self.beat_of(worker)
            self.beat_of(worker)
            hand = self.begun_again(hand, worker)

    @rule(one=which, times=st.integers(1, 3))
    def a_job_kills_its_workers(self, one: int, times: int) -> None:
        hand: Hand | None = self.in_hand(one)
        for _ in range(times):
            worker = next((worker for worker in self.living() if hand in worker.in_hand), None)
            if hand is None or worker is None:
                return
            self.die(worker)
            clock.step(A_LEASE)
            self.beat_of(self.claimer(one))
            self.rescue(one, by_silence=True)
            hand = self.begun_again(hand, self.claimer(one))

    # --- people, and the clock ---

    @rule(one=which, by=st.sampled_from(["", "ann"]))
    def stop(self, one: int, by: str) -> None:
        self.do("stop", self.deeds.stop(pick(list(self.sent), one), by))

    @rule(one=which, stage=st.integers(1, 3), seconds=st.sampled_from([None, 10.0]))
    def urge(self, one: int, stage: int, seconds: float | None) -> None:
        self.do("urge", self.deeds.urge(self.in_hand(one), stage, seconds))

    @rule(one=which, stages=st.lists(st.integers(1, 3), min_size=1, max_size=3))
    def stop_and_urge(self, one: int, stages: list[int]) -> None:
        hand = self.in_hand(one)
        self.do("stop", self.deeds.stop(hand.token[0], "ann"))
        for stage in stages:
            self.do("urge", self.deeds.urge(hand, stage, None if stage == max(stages) else 10.0))

    @rule(seconds=st.sampled_from([0.0, 61.3]))
    def expire(self, seconds: float) -> None:
        self.one_that_may_expire()
        clock.step(seconds)
        self.do("expire", self.deeds.expire())

    @rule(queue=queues, by=st.sampled_from(["", "ann", "ben"]))
    def pause_a_queue(self, queue: str, by: str) -> None:
        self.pause(queue, by)

    @rule(queue=queues)
    def resume_a_queue(self, queue: str) -> None:
        self.resume(queue)

    @precondition(lambda self: self.held_by_their_queues())
    @rule(one=which)
    def a_hold_goes_wrong(self, one: int) -> None:
        """As when two transactions pass each other unseen: no claim may take what it must not, until the
        sweep comes.
        """
        job = pick(self.held_by_their_queues(), one)
        self.tick("a hold goes wrong")
        with self.mine.transaction() as sql:
            sql.run(
                f"UPDATE tom_nightshift_job SET hold = CASE hold WHEN 'paused' THEN {holding.BY_ITS_KEYS} "
                "ELSE 'paused' END WHERE id = %s",
                [job.id],
            )
        job.hold_wrongly()

    @precondition(lambda self: self.world.holds_are_wrong())
    @rule()
    def put_holds_right(self) -> None:
        self.do("put holds right", self.deeds.put_holds_right())

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
        clock.step(days * DAY + 0.3)
        self.tick("prune")
        removed = pruning.prune(self.mine)
        assert removed == self.world.prune()
        self.tally[f"prune → {removed}"] += 1

    # --- workers ---

    @rule(one=which)
    def beat(self, one: int) -> None:
        self.beat_of(pick(self.living() or [self.claimer(one)], one))

    @rule(one=which, is_replaced=st.booleans(), is_found=st.booleans())
    def a_worker_dies(self, one: int, is_replaced: bool, is_found: bool) -> None:
        self.die(pick(self.living() or [self.claimer(one)], one))
        if is_replaced:
            self.begin(one)
        if is_found:
            clock.step(A_LEASE)
            self.rescue(one, by_silence=True)

    @rule(one=which)
    def a_worker_is_silent_for_a_lease(self, one: int) -> None:
        """And is taken for dead, if nothing but its heartbeat could tell others that it lives."""
        clock.step(A_LEASE)
        for place, worker in enumerate(self.living()):
            if place != one % len(self.living()):
                self.beat_of(worker)
        self.rescue(one + 1, by_silence=True)

    @rule(one=which, by=which, way=ways)
    def an_attempt_wakes_up_late(self, one: int, by: int, way: Way) -> None:
        """It was given up, and another may have begun: whatever it says now must not touch that one."""
        hand = self.in_hand(one)
        clock.step(LONGER_THAN_A_REQUEST)
        self.beat_of(self.claimer(by))
        self.rescue(by, by_silence=True)
        self.do("turn", self.deeds.turn(self.claimer(by), 3))
        self.do("report", self.deeds.report(hand))
        self.do(f"end: {way.__name__}", self.an_end(self.let_go(hand), way, last_words=True))
        self.ended.append(hand)

    @precondition(lambda self: len(self.claimers()) > 1)
    @rule(one=which, signs_off=st.booleans())
    def a_worker_is_told_to_end(self, one: int, signs_off: bool) -> None:
        worker = pick(self.claimers(), one)
        self.do("leave", self.deeds.leave(worker))
        worker.is_leaving = True
        if signs_off:
            self.a_worker_signs_off(one)

    @precondition(lambda self: any(worker.is_leaving for worker in self.living()))
    @rule(one=which)
    def a_worker_signs_off(self, one: int) -> None:
        """If it still has something in hand it must stay, so that others see that it has ended."""
        leaving = [worker for worker in self.living() if worker.is_leaving]
        busy = [worker for worker in leaving if worker.in_hand]
        self.do("sign off", self.deeds.sign_off(pick(busy or leaving, one)))

    @rule(one=which, by_silence=st.booleans())
    def rescue(self, one: int, by_silence: bool) -> None:
        self.do("rescue", self.deeds.rescue(self.claimer(one), by_silence=by_silence))

    # --- two transactions at once ---

    @rule(one=which, way=ways, ends_first=st.booleans(), commits=st.booleans())
    def a_stop_meets_an_end(self, one: int, way: Way, ends_first: bool, commits: bool) -> None:
        hand = self.in_hand(one)
        deeds = [self.deeds.stop(hand.token[0], "ann"), self.an_end(hand, way)]
        self.do_both("stop and end", *(reversed(deeds) if ends_first else deeds), commits=commits)
        if commits or not ends_first:
            self.ended.append(self.let_go(hand))

    @rule(one=which, by=which, way=ways, rescue_first=st.booleans())
    def a_rescue_meets_an_end(self, one: int, by: int, way: Way, rescue_first: bool) -> None:
        hand = self.let_go(self.in_hand(one))
        clock.step(A_LEASE)
        deeds = [self.deeds.rescue(self.claimer(by), by_silence=True), self.an_end(hand, way)]
        # A rescuer that comes second may count a job that has just ended: only the rows matter then.
        # Nor does it know then whether another was alone with its worker: that matters at the last loss.
        rescue_first = rescue_first or any(job.losses for job in self.world.jobs.values())
        in_order = deeds if rescue_first else reversed(deeds)
        self.do_both("rescue and end", *in_order, second_answers=rescue_first)
        self.ended.append(hand)

    @rule(one=which, dies=st.booleans())
    def two_rescuers_meet(self, one: int, dies: bool) -> None:
        if dies:
            self.die(self.claimer(one))
        deeds = (self.deeds.rescue(self.claimer(by), by_silence=True) for by in (one, one + 1))
        self.do_both("two rescuers", *deeds)

    @rule(one=which, job=which, commits=st.booleans())
    def a_claim_meets_a_stop(self, one: int, job: int, commits: bool) -> None:
        claim = self.deeds.claim(self.claimer(one), 2)
        stop = self.deeds.stop(pick(list(self.sent), job), "ann")
        self.do_both("claim, stop", claim, stop, commits=commits)

    @rule(one=which, job=which)
    def a_stop_meets_a_claim(self, one: int, job: int) -> None:
        claim = self.deeds.claim(self.claimer(one), 2)
        stop = self.deeds.stop(pick(list(self.sent), job), "ann")
        self.do_both("stop, claim", stop, claim)

    @rule(one=which, limit=st.integers(1, 3))
    def two_claims_meet(self, one: int, limit: int) -> None:
        claims = (self.deeds.claim(self.claimer(by), limit) for by in (one, one + 1))
        self.do_both("two claims", *claims)

    @rule(one=which, limit=st.integers(1, 3))
    def two_turns_meet(self, one: int, limit: int) -> None:
        """Two that admit at once: each would see the last slot free."""
        self.do_both("two turns", *(self.deeds.turn(self.claimer(by), limit) for by in (one, one + 1)))

    @rule(one=which, way=ways, pauses=st.booleans(), ends_first=st.booleans())
    def a_pause_meets_an_end(self, one: int, way: Way, pauses: bool, ends_first: bool) -> None:
        """Or a resume does. Where neither saw the other, a claim must know, and the sweep put it right."""
        hand = self.let_go(self.in_hand(one))
        queue = hand.attempt.queue
        deeds = [
            self.deeds.pause(queue, "ann") if pauses else self.deeds.resume(queue),
            self.an_end(hand, way),
        ]
        worker = self.claimer(one)
        then = [self.deeds.put_holds_right()]
        if pauses:
            then.insert(0, self.deeds.claim(worker, 3))
        in_order = reversed(deeds) if ends_first else deeds
        self.do_both("pause and end", *in_order, second_answers=not ends_first, then=then)
        self.ended.append(hand)

    @rule(one=which, queue=queues, claims_first=st.booleans())
    def a_pause_meets_a_claim(self, one: int, queue: str, claims_first: bool) -> None:
        deeds = [self.deeds.pause(queue, "ann"), self.deeds.claim(self.claimer(one), 2)]
        self.do_both("pause and claim", *(reversed(deeds) if claims_first else deeds))

    @rule(one=which, claims_first=st.booleans())
    def an_expiry_meets_a_claim(self, one: int, claims_first: bool) -> None:
        self.one_that_may_expire()
        clock.step(61.3)
        deeds = [self.deeds.expire(), self.deeds.claim(self.claimer(one), 2)]
        self.do_both("expiry and claim", *(reversed(deeds) if claims_first else deeds))

    @invariant()
    def what_is_stored_is_what_must_be(self) -> None:
        self.look_at_everything()

    def teardown(self) -> None:
        try:
            if self.is_sound:  # else what went wrong is told already
                self.every_job_comes_to_its_end()
        finally:
            self.clean_up()
