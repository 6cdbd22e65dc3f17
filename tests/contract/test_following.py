"""What follows a job is written with its end, or not at all: next steps, callbacks, and those of a group."""

from __future__ import annotations

import dramatiq
import pytest
from django.db import transaction
from django.db.models import F

from tests.support.jobs import actor, job_of, own_sql, running
from tests.support.waiting import wait_until
from tom_nightshift import stack
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.exceptions import StopRequested
from tom_nightshift.ledger import dispatcher, moves
from tom_nightshift.ledger.enqueue import ask_again
from tom_nightshift.models import Job
from tom_nightshift.states import State


@pytest.fixture
def add(broker):
    return actor(lambda a, b: a + b, actor_name="add", broker=broker)


@pytest.fixture
def fail(broker):
    return actor(lambda *_: 1 / 0, actor_name="fail", broker=broker)


@pytest.fixture
def told(broker):
    """What the task ``tell`` was called with."""
    got: list[object] = []
    actor(got.append, actor_name="tell", broker=broker)
    return got


@pytest.fixture
def all_end(broker):
    """Run everything until nothing is open; the jobs in order."""

    def run():
        with running(broker):
            wait_until(lambda: not Job.objects.open().exists())
        return list(Job.objects.order_by("id"))

    return run


def steps(broker, *messages):
    return dramatiq.pipeline(messages, broker=broker).run()


def again(broker, job):
    return ask_again(broker, bytes(job.message), owner=None, origin=job.id)


def _refuses(sql, items):
    if items:
        raise ValueError("one of these is refused")
    return []


class TestSteps:
    def test_the_next_one_is_written_in_the_transaction_that_ends_the_one_before(self, broker, add, all_end):
        steps(broker, add.message(1, 2), add.message(3))
        first, second = all_end()
        assert second.result["value"] == 6
        assert (second.parent, second.root) == (first.id, first.id)

    def test_it_is_written_too_where_ends_that_were_refused_together_are_written_alone(
        self, broker, add, all_end, monkeypatch
    ):
        monkeypatch.setattr(dispatcher, "write_together", _refuses)
        steps(broker, add.message(1, 2), add.message(3))
        assert [job.result["value"] for job in all_end()] == [3, 6]

    def test_an_attempt_that_has_lost_its_row_brings_none(self, broker, add, told, all_end):
        def loses():
            with own_sql() as sql:  # as a rescue does
                sql.run("UPDATE tom_nightshift_job SET attempt = attempt + 1 WHERE task = 'loses'")

        task = actor(loses, broker=broker)
        with running(broker):
            steps(broker, task.message(), broker.get_actor("tell").message())
            wait_until(lambda: broker.dispatcher.finished)
        assert [job.task for job in Job.objects.all()] == ["loses"]
        assert told == []

    def test_after_one_that_failed_the_rest_does_not_run(self, broker, add, fail, all_end):
        steps(broker, add.message(1, 2), fail.message(), add.message(1))
        assert [(job.task, job.state) for job in all_end()] == [("add", "succeeded"), ("fail", "failed")]

    def test_arguments_that_the_next_one_refuses_are_a_warning_of_this_one(self, broker, add, all_end):
        lonely = actor(lambda: None, actor_name="lonely", broker=broker)
        steps(broker, add.message(1, 2), lonely.message())
        (first,) = all_end()
        assert first.state == State.WARNED
        assert first.error.startswith("what was to follow could not be asked for: ")
        assert first.result["value"] == 3

    def test_stop_asked_of_one_that_is_done_before_it_hears_it_keeps_the_next_from_running(
        self, broker, told, all_end
    ):
        def deaf():
            with own_sql() as sql:
                moves.stop(sql, Job.objects.get(task="deaf").id, "Ann")

        message = actor(deaf, broker=broker).message()
        steps(broker, message, broker.get_actor("tell").message())
        (first,) = all_end()
        assert (first.state, told) == (State.SUCCEEDED, [])

    def test_one_that_was_tried_again_is_followed_once(self, broker, told, all_end):
        tries: list[int] = []

        def stumble():
            tries.append(1)
            if len(tries) < 3:
                raise ValueError
            return len(tries)

        task = actor(stumble, max_retries=5, min_backoff=1, max_backoff=1, broker=broker)
        steps(broker, task.message(), broker.get_actor("tell").message())
        assert [job.task for job in all_end()] == ["stumble", "tell"]
        assert told == [3]

    def test_a_message_that_has_a_row_gets_that_row(self, broker, add):
        message = add.message(1, 2)
        broker.enqueue(message)
        broker.enqueue(message)
        assert Job.objects.count() == 1

    def test_a_failed_one_that_is_run_again_goes_on_with_the_rest(self, broker, told, all_end):
        broken = [True]

        def mend(value):
            if broken:
                raise ValueError
            return value

        task = actor(mend, broker=broker)
        line = steps(broker, task.message(5), broker.get_actor("tell").message())
        (failed,) = all_end()
        broken.clear()
        again(broker, failed)
        assert [job.state for job in all_end()] == ["failed", "succeeded", "succeeded"]
        assert told == [5]
        assert job_of(line.messages[-1]).state == State.SUCCEEDED

    def test_one_that_was_done_and_is_run_again_is_followed_again(self, broker, add, told, all_end):
        steps(broker, add.message(1, 2), add.message(3), broker.get_actor("tell").message())
        first = all_end()[0]
        again(broker, first)
        assert len(all_end()) == 6
        assert told == [6, 6]

    def test_delays_are_kept(self, broker, add):
        steps(broker, add.message(1, 2), add.message_with_options(args=(3,), delay=3_600_000))
        with running(broker):
            second = wait_until(lambda: Job.objects.filter(hold="until").first())
        assert (second.run_at - second.created_at).total_seconds() > 3_500


class TestCallbacks:
    def test_of_a_job_that_failed(self, broker, told, all_end):
        actor(lambda message, error: told.append(error["type"]), actor_name="mourn", broker=broker)
        actor(lambda: 1 / 0, actor_name="fails", on_failure="mourn", broker=broker).send()
        failed, callback = all_end()
        assert (told, callback.parent) == (["ZeroDivisionError"], failed.id)

    def test_of_a_job_that_was_stopped(self, broker, told, all_end):
        actor(lambda message, error: told.append(error["type"]), actor_name="mourn", broker=broker)

        def stops():
            with own_sql() as sql:
                moves.stop(sql, Job.objects.get(task="stops").id, "Ann")
            raise StopRequested

        actor(stops, on_failure="mourn", broker=broker).send()
        stopped, callback = all_end()
        assert (stopped.state, callback.state, told) == (State.STOPPED, State.SUCCEEDED, ["StopRequested"])


class TestGroups:
    def test_its_callback_runs_once_when_all_are_done(self, broker, add, told, all_end):
        group = self.group(broker, *(add.message(number, 1) for number in range(6)))
        jobs = all_end()
        assert told == ["all done"]
        assert [job.task for job in jobs] == ["add"] * 6 + ["tell"]
        assert jobs[-1].created_at >= max(job.finished_at for job in jobs[:-1])
        assert list(group.get_results()) == [1, 2, 3, 4, 5, 6]

    def test_not_while_one_has_failed_and_then_when_that_was_run_again(self, broker, add, told, all_end):
        broken = [True]
        mend = actor(lambda: 1 / 0 if broken else 1, actor_name="mend", broker=broker)
        self.group(broker, add.message(1, 1), mend.message(), add.message(1, 1))
        all_end()
        assert told == []
        failed = Job.objects.get(task="mend")
        again(broker, failed)
        all_end()
        assert told == []  # it failed again
        broken.clear()
        again(broker, Job.objects.filter(task="mend").latest("id"))
        all_end()
        assert told == ["all done"]

    def test_a_part_that_is_run_again_counts_once(self, broker, add, fail, told, all_end):
        self.group(broker, add.message(1, 1), add.message(2, 2), fail.message())
        jobs = all_end()
        for _ in range(3):
            again(broker, jobs[0])
        all_end()
        assert told == []

    def test_pipelines_in_it(self, broker, add, told, all_end):
        lines = [dramatiq.pipeline([add.message(n, 1), add.message(10)], broker=broker) for n in range(3)]
        group = self.group(broker, *lines)
        all_end()
        assert told == ["all done"]
        assert list(group.get_results()) == [11, 12, 13]

    def test_two_workers_that_end_parts_of_the_same_ones_do_not_wait_for_each_other(
        self, broker, add, told, caplog
    ):
        other = DatabaseBroker(stack.middleware())
        for task in broker.actors.values():
            other.declare_actor(task)
        groups = [[add.message(number, 1) for number in range(25)] for _ in range(4)]
        with transaction.atomic():
            for parts in groups:
                group = dramatiq.group(parts, broker=broker)
                group.add_completion_callback(broker.get_actor("tell").message("all done"))
                group.run()
        Job.objects.update(priority=F("id") % 25)  # so that each batch has parts of all groups
        with running(broker, threads=8), running(other, threads=8):
            wait_until(lambda: not Job.objects.open().exists(), at_most=60)
        assert told == ["all done"] * 4
        assert [record.message for record in caplog.records if "database" in record.message] == []

    def test_what_was_asked_for_in_a_transaction_that_is_undone_never_was(self, broker, add, told, all_end):
        with transaction.atomic():
            self.group(broker, add.message(1, 1), add.message(2, 2))
            transaction.set_rollback(True)
        assert all_end() == []

    def test_a_counter_that_is_gone_brings_nothing(self, broker, add, told, all_end, step_clock):
        self.group(broker, add.message(1, 1), add.message(2, 2))
        step_clock(91 * 86_400)
        all_end()
        assert told == []

    def group(self, broker, *children):
        group = dramatiq.group(children, broker=broker)
        group.add_completion_callback(broker.get_actor("tell").message("all done"))
        return group.run()


def test_where_jobs_run_at_once_all_of_it_runs(transactional_db, nightshift):
    eager = DatabaseBroker(stack.middleware(), runs_here=lambda: True)
    told: list[object] = []
    tell = actor(told.append, actor_name="tell", broker=eager)
    add = actor(lambda a, b: a + b, actor_name="add", broker=eager)
    steps(eager, add.message(1, 2), add.message(3), tell.message())
    group = dramatiq.group([add.message(1, 1), add.message(2, 2)], broker=eager)
    group.add_completion_callback(tell.message("both"))
    group.run()
    assert told == [6, "both"]
    assert not Job.objects.open().exists()


def test_a_long_line_of_steps_where_jobs_run_at_once(transactional_db, nightshift):
    eager = DatabaseBroker(stack.middleware(), runs_here=lambda: True)
    add = actor(lambda a, b: a + b, actor_name="add", broker=eager)
    line = steps(eager, add.message(0, 1), *(add.message(1) for _ in range(60)))
    assert line.get_result() == 61
