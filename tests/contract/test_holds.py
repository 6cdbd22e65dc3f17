"""A paused queue: what waits in it is held, whoever makes it ready, and nothing of it is claimed."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.support.jobs import actor, claimed, ended, job_of, message_to, own_sql, reached, running
from tests.support.rivals import race
from tests.support.waiting import wait_until
from tom_nightshift import pause_queue, resume_queue, stack
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.ledger import bell, holding, moves, notices
from tom_nightshift.ledger.session import OwnConnection
from tom_nightshift.models import Job, Queue
from tom_nightshift.states import Hold, State


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


@pytest.fixture
def other(broker):
    return actor(lambda: None, actor_name="other", queue_name="other", broker=broker)


def wait_again(sql, attempt):
    moves.wait_again(
        sql, attempt.token, charge="", reason="", error="", message=None, hold=Hold.NONE, delay=0
    )


def hold_of(message):
    job = job_of(message)
    return job.state, job.hold


HELD = (State.WAITING, Hold.PAUSED)
READY = (State.WAITING, Hold.NONE)
UNTIL = (State.WAITING, Hold.UNTIL)


class TestPausing:
    """Jobs of a paused queue wait; those of others, and those that run, go on."""

    def test_what_waits_is_held_and_other_queues_are_not(self, task, other):
        waits, delayed, elsewhere = task.send(), task.send_with_options(delay=60_000), other.send()
        assert pause_queue("default", "ann") == 1
        assert [hold_of(waits), hold_of(delayed), hold_of(elsewhere)] == [HELD, UNTIL, READY]
        row = Queue.objects.get()
        assert (row.name, row.paused, row.paused_by) == ("default", True, "ann")
        assert row.paused_at >= job_of(waits).created_at
        with own_sql() as sql:
            assert [one.queue for one in claimed(sql, queues=("default", "other"), limit=9)] == ["other"]

    def test_what_is_asked_for_meanwhile_is_held_in_the_same_statement(self, task, other, monkeypatch):
        monkeypatch.setattr(notices, "send", lambda: None)  # once in a while a statement more
        with CaptureQueriesContext(connection) as before:
            task.send()
        pause_queue("default")
        with CaptureQueriesContext(connection) as after:
            message = task.send()
        assert len(after) == len(before)
        assert (hold_of(message), hold_of(other.send())) == (HELD, READY)

    def test_it_commits_or_vanishes_with_the_callers_data(self, task):
        class Undo(Exception):
            pass

        with pytest.raises(Undo), transaction.atomic():  # noqa: PT012
            pause_queue("default")
            assert hold_of(task.send()) == HELD
            raise Undo
        assert (Queue.objects.count(), Job.objects.count()) == (0, 0)
        assert hold_of(task.send()) == READY

    def test_what_runs_goes_on(self, broker):
        gate = threading.Event()
        task = actor(lambda: gate.wait(10), actor_name="task", broker=broker)
        with running(broker):
            message = task.send()
            reached(message, state=State.RUNNING)
            pause_queue("default")
            gate.set()
            assert ended(message).state == State.SUCCEEDED

    def test_who_paused_it_first_stands(self, task):
        pause_queue("default", "ann")
        pause_queue("default", "ben")
        assert Queue.objects.get().paused_by == "ann"
        resume_queue("default")
        pause_queue("default", "ben")
        assert Queue.objects.get().paused_by == "ben"

    @pytest.mark.parametrize("name", ["", "q" * 101])
    def test_a_name_that_no_queue_has_is_refused(self, broker, name):
        for verb in (pause_queue, resume_queue):
            with pytest.raises(ValueError, match="is no name of a queue: one has 1 to 100 characters"):
                verb(name)


class TestMadeReadyMeanwhile:
    """Whoever makes a job ready asks whether its queue is paused."""

    def test_a_job_that_is_due(self, task, step_clock):
        message = task.send_with_options(delay=60_000)
        pause_queue("default")
        step_clock(61)
        with own_sql() as sql:
            assert moves.release_due(sql) == 1
        assert hold_of(message) == HELD

    def test_one_that_is_released_before_its_time(self, task):
        message = task.send_with_options(delay=60_000)
        pause_queue("default")
        with own_sql() as sql:
            assert moves.release(sql, [job_of(message).id]) == 1
        assert hold_of(message) == HELD

    def test_one_that_was_parked(self, broker):
        broker.declare_queue("default")
        message = message_to("later")
        broker.enqueue(message)
        Job.objects.update(hold=Hold.PARKED)
        pause_queue("default")
        with own_sql() as sql:
            assert moves.release_parked(sql, ["later"]) == 1
        assert hold_of(message) == HELD

    def test_one_that_is_handed_back(self, task):
        message = task.send()
        with own_sql() as sql:
            (attempt,) = claimed(sql)
        pause_queue("default")
        with own_sql() as sql:
            wait_again(sql, attempt)
        assert hold_of(message) == HELD

    def test_one_that_is_tried_again(self, broker):
        began, gate = threading.Event(), threading.Event()

        def fails_once():
            began.set()
            gate.wait(10)
            raise ValueError

        task = actor(fails_once, actor_name="task", max_attempts=2, backoff=lambda *_: 0, broker=broker)
        with running(broker):
            message = task.send()
            assert began.wait(10)
            pause_queue("default")
            gate.set()
            reached(message, state=State.WAITING, hold=Hold.PAUSED, failures=1)


class TestResuming:
    """Jobs of a resumed queue begin at once."""

    def test_what_was_held_is_ready_and_the_workers_are_woken_on_commit(self, task, other, monkeypatch):
        rings = []
        monkeypatch.setattr(bell, "ring", lambda: rings.append(1))
        sent = [task.send(), other.send()]
        pause_queue("default"), pause_queue("other")
        rings.clear()
        with transaction.atomic():
            assert resume_queue("default") == 1
            assert rings == []
        assert rings == [1]
        assert [hold_of(message) for message in sent] == [READY, HELD]
        assert resume_queue("default") == 0

    def test_a_worker_begins_them(self, broker, task, other):
        pause_queue("default")
        with running(broker):
            held = task.send()
            ended(other.send())
            assert hold_of(held) == HELD
            resume_queue("default")
            assert ended(held).state == State.SUCCEEDED

    def test_a_delayed_one_still_waits_for_its_time(self, task):
        message = task.send_with_options(delay=60_000)
        pause_queue("default")
        resume_queue("default")
        assert hold_of(message) == UNTIL


class TestWhatSlippedThrough:
    """Two transactions may pass each other unseen: the claim asks once more, and the sweep repairs."""

    @pytest.fixture
    def slipped(self, task):
        """A job that is ready though its queue is paused."""
        message = task.send()
        pause_queue("default")
        Job.objects.update(hold=Hold.NONE)
        return message

    def test_a_claim_never_takes_it_nor_does_a_worker_try_for_ever(self, slipped):
        with own_sql() as sql:
            assert claimed(sql) == []
            assert moves.worth_claiming(sql, ["default"]) == (None, False, False)

    def test_the_sweep_holds_it(self, slipped):
        with own_sql() as sql:
            assert holding.is_wrong(sql)
            assert holding.put_right(sql) == 1
            assert not holding.is_wrong(sql)
        assert hold_of(slipped) == HELD

    def test_the_sweep_releases_what_is_held_for_nothing(self, task):
        message = task.send()
        Job.objects.update(hold=Hold.PAUSED)
        with own_sql() as sql:
            assert holding.is_wrong(sql)
            assert holding.put_right(sql) == 1
            assert not holding.is_wrong(sql)
        assert hold_of(message) == READY

    @pytest.mark.postgres
    def test_an_enqueue_that_commits_after_the_pause_is_caught(self, task):
        with transaction.atomic():
            message = task.send()
            with closing(OwnConnection()) as elsewhere, elsewhere.transaction() as sql:
                assert holding.pause(sql, "default", "") == 0
        assert hold_of(message) == READY
        with own_sql() as sql:
            assert claimed(sql) == []
            assert holding.put_right(sql) == 1
        assert hold_of(message) == HELD

    @pytest.mark.postgres
    def test_an_enqueue_that_commits_after_the_resume_is_caught(self, task):
        pause_queue("default")
        with transaction.atomic():
            message = task.send()
            with closing(OwnConnection()) as elsewhere, elsewhere.transaction() as sql:
                assert holding.resume(sql, "default") == 0
        assert hold_of(message) == HELD
        with own_sql() as sql:
            assert holding.put_right(sql) == 1
        assert hold_of(message) == READY

    def test_of_eight_who_pause_resume_claim_and_ask_none_fails_and_nothing_is_lost(self, task):
        def rival(number):
            for _ in range(5):
                if number < 2:
                    pause_queue("default")
                elif number < 4:
                    resume_queue("default")
                elif number < 6:
                    with own_sql() as sql:
                        for attempt in claimed(sql, f"host:{number}:a", limit=3):
                            wait_again(sql, attempt)
                else:
                    task.send()

        assert race(8, rival) == [None] * 8
        resume_queue("default")
        with own_sql() as sql:
            holding.put_right(sql)
        assert Job.objects.ready().count() == 10


class TestTheSweep:
    """With each heartbeat a worker puts right what it finds."""

    @pytest.fixture(autouse=True)
    def soon(self, nightshift):
        nightshift(HEARTBEAT=0.1)

    def test_both_directions(self, broker, task, other):
        pause_queue("other")
        with running(broker):
            wait_until(broker.dispatcher.registered.is_set)
            held_for_nothing = task.send_with_options(delay=3_600_000)
            slipped = other.send_with_options(delay=3_600_000)
            Job.objects.filter(queue="default").update(hold=Hold.PAUSED)
            Job.objects.filter(queue="other").update(hold=Hold.NONE)
            assert ended(held_for_nothing).state == State.SUCCEEDED
            reached(slipped, state=State.WAITING, hold=Hold.PAUSED)
        assert job_of(slipped).attempt == 0

    def test_due_jobs_of_a_queue_that_nobody_listens_to_become_ready(self, broker, task, other):
        with running(broker, queues={"other"}):
            reached(task.send_with_options(delay=50), state=State.WAITING, hold=Hold.NONE)

    def test_parked_ones_that_a_live_worker_knows(self, broker, nightshift):
        knows_it = DatabaseBroker(stack.middleware())
        task = actor(lambda: None, actor_name="known", queue_name="here", broker=knows_it)
        with running(knows_it):
            message = task.send_with_options(delay=3_600_000)
            Job.objects.update(hold=Hold.PARKED)
            assert ended(message).state == State.SUCCEEDED
