"""``limit``: of one key not more than so many jobs are admitted, and no slot is ever lost."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from tests.support.jobs import actor, claimed, ended, job_of, message_to, own_sql, reached, running
from tests.support.rivals import race
from tests.support.waiting import wait_until
from tom_nightshift import pause_queue, resume_queue, stack
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.broker.inline import drain
from tom_nightshift.ledger import admission, limits, moves, rescue
from tom_nightshift.models import Job, Limit
from tom_nightshift.states import Hold, State


@pytest.fixture
def ask(broker):
    """Two at a time."""
    return actor(lambda *_: None, actor_name="ask", limit=("ATLAS", 2), broker=broker)


def admit(at_most=9):
    with own_sql() as sql:
        return admission.admit(sql, at_most)


def claim(limit=9, queues=("default",)):
    with own_sql() as sql:
        return claimed(sql, limit=limit, queues=queues)


def finish(attempt, state=State.SUCCEEDED):
    with own_sql() as sql:
        assert moves.finish(sql, attempt.token, state, reason="", error="", result=None)


def wait_again(attempt, hold=Hold.NONE):
    with own_sql() as sql:
        assert moves.wait_again(
            sql, attempt.token, charge="", reason="", error="", message=None, hold=hold, delay=60
        )


def holds():
    return list(Job.objects.order_by("id").values_list("hold", flat=True))


class TestAdmission:
    """Held from the start, admitted in order, never more than there are slots."""

    def test_it_is_held_when_it_is_asked_for_and_its_limit_has_a_row(self, ask):
        job = job_of(ask.send())
        assert (job.hold, job.limit_key) == (Hold.LIMIT, "ATLAS")
        row = Limit.objects.get()
        assert (row.kind, row.key, row.template, row.number) == ("limit", "ATLAS", "ATLAS", 2)

    def test_so_many_are_admitted_and_no_claim_takes_another(self, ask):
        for _ in range(4):
            ask.send()
        assert claim() == []
        assert admit() == 2
        assert admit() == 0
        assert holds() == ["", "", "limit", "limit"]
        assert len(claim()) == 2
        assert admit() == 0

    def test_the_soonest_comes_first(self, broker, ask):
        sooner = actor(lambda: None, actor_name="sooner", priority=-1, limit=("ATLAS", 2), broker=broker)
        ask.send()
        ask.send()
        soonest = sooner.send()
        admit()
        assert job_of(soonest).hold == Hold.NONE
        assert holds() == ["", "limit", ""]

    def test_keys_are_counted_each_by_itself_over_all_tasks_that_name_them(self, broker, ask):
        other = actor(lambda: None, actor_name="other", limit=("ATLAS", 2), broker=broker)
        free = actor(lambda site: None, actor_name="free", limit=("site {site}", 1), broker=broker)
        plain = actor(lambda: None, actor_name="plain", broker=broker)
        for _ in range(2):
            ask.send(), other.send(), free.send("a"), free.send("b"), plain.send()
        admit()
        admitted = Job.objects.filter(hold="").values_list("limit_key", flat=True)
        assert sorted(admitted) == ["", "", "ATLAS", "ATLAS", "site a", "site b"]

    def test_a_number_alone_counts_the_jobs_of_the_task(self, broker):
        one, two = (actor(lambda: None, actor_name=name, limit=1, broker=broker) for name in ("{one}", "two"))
        one.send(), one.send(), two.send()
        assert admit() == 2
        assert set(Job.objects.values_list("limit_key", flat=True)) == {"{one}", "two"}

    def test_a_delayed_one_has_no_slot_until_it_is_due(self, ask, step_clock):
        delayed = ask.send_with_options(delay=60_000)
        assert (job_of(delayed).hold, admit()) == (Hold.UNTIL, 0)
        step_clock(61)
        with own_sql() as sql:
            moves.release_due(sql)
        assert job_of(delayed).hold == Hold.LIMIT
        assert admit() == 1

    def test_one_of_a_paused_queue_has_no_slot(self, broker, ask):
        other = actor(lambda: None, actor_name="o", queue_name="other", limit=("ATLAS", 2), broker=broker)
        admitted, waits, elsewhere = ask.send(), ask.send(), other.send()
        with own_sql() as sql:
            sql.run("UPDATE tom_nightshift_limit SET number = 1")
        admit()
        assert pause_queue("default") == 2
        assert job_of(admitted).hold == job_of(waits).hold == job_of(ask.send()).hold == Hold.PAUSED
        admit()
        assert job_of(elsewhere).hold == Hold.NONE
        resume_queue("default")
        assert holds() == ["limit", "limit", "", "limit"]
        assert admit() == 0

    def test_one_that_slipped_past_its_paused_queue_is_not_admitted(self, ask):
        ask.send()
        pause_queue("default")
        Job.objects.update(hold=Hold.LIMIT)
        assert admit() == 0

    def test_a_parked_one_has_no_slot(self, ask):
        for _ in range(3):
            ask.send()
        admit()
        wait_again(claim()[0], Hold.PARKED)
        assert admit() == 1
        with own_sql() as sql:
            moves.release_parked(sql, ["ask"])
        assert sorted(holds()) == ["", "", "limit"]

    def test_eight_that_admit_claim_and_end_at_once_never_have_more(self, ask):
        for _ in range(24):
            ask.send()
        together = []

        def rival(number):
            for _ in range(12):
                with own_sql() as sql:
                    admission.admit(sql, 9)
                    mine = claimed(sql, f"host:{number}:a", limit=1)
                together.append(Job.objects.filter(state=State.RUNNING).count())
                for attempt in mine:
                    finish(attempt)

        assert race(8, rival) == [None] * 8
        assert max(together) in (1, 2)
        for _ in range(24):  # also those that were let in and that nobody has claimed
            admit()
            for attempt in claim():
                finish(attempt)
        assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCEEDED}

    @pytest.mark.postgres
    def test_who_admits_waits_for_who_admits(self, ask):
        for _ in range(4):
            ask.send()
        rival = threading.Thread(target=admit)
        with own_sql() as sql:
            admission.admit(sql, 9)
            rival.start()
            wait_until(
                lambda: sql.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
                what="the rival",
            )
        rival.join()
        assert holds() == ["", "", "limit", "limit"]


class TestFreedSlots:
    """A slot is free as soon as its row is admitted no more, whatever became of it."""

    @pytest.fixture
    def first(self, ask):
        """One of two that run, while a third waits."""
        messages = [ask.send() for _ in range(3)]
        admit()
        first, _ = claim()
        assert job_of(messages[2]).hold == Hold.LIMIT
        return first

    @pytest.mark.parametrize("how", ["ended", "tried again", "put off", "stopped", "worker died"])
    def test_the_next_has_it(self, first, how, step_clock):
        with own_sql() as sql:
            if how == "stopped":
                moves.stop(sql, first.job_id, "ann")
        if how in ("ended", "stopped"):
            finish(first)
        elif how == "tried again":
            wait_again(first)
        elif how == "put off":
            wait_again(first, Hold.UNTIL)
        else:
            step_clock(100)
            with own_sql() as sql:
                rows = [row for row in rescue.orphans(sql) if row[0] == first.job_id]
                assert rescue.return_orphans(sql, rows, lambda _: "again") == 1
        assert admit() == 1
        assert Job.objects.filter(state__in=["waiting", "running"], hold="").count() == 2

    def test_one_that_is_tried_again_stands_in_line_and_is_first(self, first):
        wait_again(first)
        assert Job.objects.get(id=first.job_id).hold == Hold.LIMIT
        admit()
        assert [again.token for again in claim()] == [(first.job_id, 2)]

    def test_a_stop_of_one_that_was_admitted(self, ask):
        messages = [ask.send() for _ in range(3)]
        admit()
        with own_sql() as sql:
            assert moves.stop(sql, job_of(messages[0]).id, "") == State.STOPPED
        assert admit() == 1

    def test_one_that_expires(self, ask, step_clock):
        for _ in range(2):
            ask.send_with_options(max_age=30_000)
        waits = ask.send()
        admit()
        step_clock(31)
        with own_sql() as sql:
            assert moves.expire(sql) == 2
        admit()
        assert job_of(waits).hold == Hold.NONE

    def test_one_that_is_removed(self, ask):
        messages = [ask.send() for _ in range(3)]
        admit()
        Job.objects.filter(id=job_of(messages[0]).id).delete()
        assert admit() == 1


class TestTheNumber:
    """What was declared last holds."""

    def test_a_worker_that_starts_says_it_and_what_is_asked_for_does_not(self, ask, broker):
        ask.send()
        other = actor(lambda: None, actor_name="other", limit=("ATLAS", 5), broker=broker)
        other.send()
        assert Limit.objects.get().number == 2
        with own_sql() as sql:
            assert limits.renew(sql, limits.declared(other)) == 1
            assert limits.renew(sql, limits.declared(other)) == 0
        assert Limit.objects.get().number == 5

    def test_keys_that_arguments_make_follow_too(self, broker):
        site = actor(lambda site: None, actor_name="site", limit=("{site}", 1), broker=broker)
        site.send("a"), site.send("b")
        site.options["limit"] = ("{site}", 3)
        with own_sql() as sql:
            assert limits.renew(sql, limits.declared(site)) == 2

    def test_one_that_was_lowered_lets_nobody_in_until_there_is_room(self, ask):
        for _ in range(4):
            ask.send()
        admit()
        both = claim()
        Limit.objects.update(number=1)
        finish(both[0])
        assert admit() == 0
        finish(both[1])
        assert admit() == 1

    def test_one_that_nobody_has_declared_is_one(self, ask):
        ask.send(), ask.send()
        Limit.objects.all().delete()
        assert admit() == 1

    def test_keys_that_nobody_uses_are_forgotten_after_long(self, ask, broker, step_clock):
        other = actor(lambda: None, actor_name="other", limit=("MAST", 1), broker=broker)
        ask.send(), other.send()
        Job.objects.filter(limit_key="MAST").update(state=State.SUCCEEDED)
        for seconds, left in ((86_400, {"ATLAS", "MAST"}), (limits.UNUSED, {"ATLAS"})):
            step_clock(seconds)
            with own_sql() as sql:
                limits.forget_unused(sql)
            assert set(Limit.objects.values_list("key", flat=True)) == left


class TestWithAWorker:
    """Real workers, a real limit."""

    @contextmanager
    def two_workers(self, declare):
        brokers = [DatabaseBroker(stack.middleware()) for _ in range(2)]
        tasks = [declare(broker) for broker in brokers]
        with running(brokers[0], threads=3), running(brokers[1], threads=3):
            yield tasks[0]

    def test_of_two_workers_with_six_threads_never_more_than_two_run(self, broker):
        lock, now, most = threading.Lock(), [0], [0]

        def work():
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.01)  # the work itself
            with lock:
                now[0] -= 1

        with self.two_workers(
            lambda broker: actor(work, actor_name="ask", limit=("ATLAS", 2), broker=broker)
        ) as task:
            messages = [task.send() for _ in range(20)]
            for message in messages:
                assert ended(message, at_most=30).state == State.SUCCEEDED
        assert most[0] == 2

    def test_others_go_past_those_that_wait(self, broker):
        gate = threading.Event()
        ask = actor(lambda: gate.wait(10), actor_name="ask", limit=1, broker=broker)
        plain = actor(lambda: None, actor_name="plain", broker=broker)
        with running(broker, threads=2):
            first, second = ask.send(), ask.send()
            reached(first, state=State.RUNNING)
            assert ended(plain.send()).state == State.SUCCEEDED
            assert job_of(second).hold == Hold.LIMIT
            gate.set()
            ended(second)

    def test_a_worker_that_starts_brings_its_numbers(self, ask, broker):
        ask.send_with_options(delay=600_000)
        Limit.objects.update(number=7)
        with running(broker):
            wait_until(lambda: Limit.objects.get().number == 2, what="what the task declares")

    def test_a_task_that_nobody_here_knows_is_asked_for_as_it_is(self, broker):
        broker.declare_queue("default")
        broker.enqueue(message_to("elsewhere"))
        assert holds() == [""]

    def test_where_jobs_run_at_once_nothing_is_waited_for(self, ask, broker):
        for _ in range(3):
            ask.send()
        assert drain(broker) == 3
