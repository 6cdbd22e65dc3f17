"""Jobs that run where they were asked for: eager mode, and ``testing.drain()``."""

from __future__ import annotations

import logging

import dramatiq
import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from dramatiq.middleware import CurrentMessage

from tests.support.jobs import actor, job_of, log_of, message_to
from tests.support.rivals import race
from tom_nightshift import Later, TaskError, current_job, modes, progress, stack, testing
from tom_nightshift.broker import inline
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State


@pytest.fixture
def eager(transactional_db, nightshift):
    """A broker that runs each job at once."""
    return DatabaseBroker(stack.middleware(), runs_here=lambda: True)


def test_it_has_run_when_send_returns_and_its_row_tells(eager):
    def task(a, b):
        progress(1, 2, "adding")
        logging.getLogger("myapp").info("adding %d", a)
        return a + b

    job = job_of(actor(task, broker=eager).send(1, b=2))
    assert (job.state, job.result["value"], job.done, job.note) == (State.SUCCEEDED, 3, 1.0, "adding")
    assert [line[9:] for line in log_of(job)] == ["adding 1"]
    assert [one.outcome for one in job.attempts.all()] == ["succeeded"]


def test_what_a_failed_one_wrote_is_gone_and_its_row_says_why(eager):
    def task():
        User.objects.create(username="half done")
        raise TaskError("no such target")

    job = job_of(actor(task, broker=eager).send())
    assert (job.state, job.error) == (State.FAILED, "no such target")
    assert User.objects.count() == 0


def test_inside_atomic_it_vanishes_with_the_callers_data(eager):
    class Undo(Exception):
        pass

    task = actor(lambda: (User.objects.create(username="made"), None)[1], actor_name="task", broker=eager)
    with pytest.raises(Undo), transaction.atomic():  # noqa: PT012
        task.send()
        assert User.objects.count() == 1
        raise Undo
    assert (User.objects.count(), Job.objects.count()) == (0, 0)


def test_a_failure_inside_atomic_leaves_the_callers_transaction_whole(eager):
    task = actor(lambda: (User.objects.create(pk=1), 1 / 0), actor_name="task", broker=eager)
    with transaction.atomic():
        User.objects.create(username="the caller's")
        message = task.send()
    assert [user.username for user in User.objects.all()] == ["the caller's"]
    assert job_of(message).state == State.FAILED


def test_a_task_that_passes_over_a_database_error_keeps_what_it_wrote_or_fails(eager):
    """PostgreSQL keeps nothing of a transaction with an error in it, and rolls it back without a word."""

    def task():
        User.objects.create(username="kept?")
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM no_such_table")
        except DatabaseError:
            pass

    job = job_of(actor(task, broker=eager).send())
    assert job.is_final
    assert (job.state == State.SUCCEEDED) == (User.objects.count() == 1)


def test_the_same_inside_the_callers_transaction(eager):
    def task():
        User.objects.create(username="kept?")
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM no_such_table")
        except DatabaseError:
            pass

    with transaction.atomic():
        User.objects.create(username="the caller's")
        job = job_of(actor(task, broker=eager).send())
    assert (job.state == State.SUCCEEDED) == (User.objects.count() == 2)
    assert User.objects.filter(username="the caller's").exists()


def test_one_inside_another(eager):
    order = []

    def outer():
        order.append("outer begins")
        inner.send()
        order.append("outer ends")
        progress(5)

    outer = actor(outer, broker=eager)
    inner = actor(lambda: order.append("inner"), actor_name="inner", broker=eager)
    job = job_of(outer.send())
    assert order == ["outer begins", "inner", "outer ends"]
    assert job.done == 5.0
    assert Job.objects.get(task="inner").parent == job.id


def test_nothing_that_was_set_for_it_is_left_behind(eager):
    def skipped():
        raise Later(0)

    actor(skipped, broker=eager).send()
    assert (CurrentMessage.get_current_message(), current_job()) == (None, None)


def test_retries_are_made_at_once(eager):
    tries = []

    def task():
        tries.append(1)
        if len(tries) < 3:
            raise ValueError

    job = job_of(actor(task, max_attempts=3, backoff=3600, broker=eager).send())
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 3, 2)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_is_no_exception_does_not_end_the_request(eager, error):
    def task():
        raise error

    assert job_of(actor(task, broker=eager).send()).state == State.FAILED


def test_an_unknown_task_is_parked(eager):
    eager.declare_queue("default")
    message = message_to("elsewhere")
    eager.enqueue(message)
    assert (job_of(message).state, job_of(message).hold) == (State.WAITING, Hold.PARKED)


def test_in_several_threads_of_a_web_server_at_once(eager):
    def task(number):
        for _ in range(20):
            logging.getLogger("myapp").info("request %d", number)
        return number

    declared = actor(task, broker=eager)
    sent = race(4, lambda number: declared.send(number))
    jobs = [job_of(message) for message in sent]
    assert [job.result["value"] for job in jobs] == [0, 1, 2, 3]
    assert [[line[9:] for line in log_of(job)] for job in jobs] == [[f"request {n}"] * 20 for n in range(4)]


def test_the_sites_logging_is_as_it_was(eager):
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    actor(lambda: None, actor_name="task", broker=eager).send()
    assert (root.level, root.handlers) == before


class TestDrain:
    """``testing.drain()`` runs what waits, and what that asks for."""

    @pytest.fixture(autouse=True)
    def as_the_sites_broker(self, broker):
        before = dramatiq.get_broker()
        dramatiq.set_broker(broker)
        yield
        dramatiq.set_broker(before)

    def test_it_runs_what_waits_delayed_or_not_and_what_that_asks_for(self, broker):
        second = actor(lambda: None, actor_name="second", broker=broker)
        first = actor(lambda: (second.send(), None)[1], actor_name="first", broker=broker)
        first.send()
        first.send_with_options(delay=3_600_000)
        assert testing.drain() == 4
        assert {job.state for job in Job.objects.all()} == {State.SUCCEEDED}
        assert testing.drain() == 0

    def test_a_job_that_never_comes_to_an_end_does_not_keep_it_for_ever(self, broker, monkeypatch):
        monkeypatch.setattr(inline, "MOST_ATTEMPTS", 3)
        actor(lambda: 1 / 0, actor_name="task", max_retries=None, broker=broker).send()
        assert testing.drain() == 3

    def test_a_parked_job_stays(self, broker):
        broker.declare_queue("default")
        broker.enqueue(message_to("elsewhere"))
        assert testing.drain() == 1
        assert testing.drain() == 0


def test_in_tests_jobs_run_at_once_unless_asked_otherwise():
    assert (modes.mode(), modes.runs_here()) == ("off", True)
    with testing.waiting():
        assert not modes.runs_here()
        with testing.eager():
            assert modes.mode() == "eager"
            with testing.waiting():
                assert modes.mode() == "worker"
            assert modes.mode() == "eager"
        assert modes.mode() == "worker"
    assert modes.mode() == "off"


def test_a_task_of_the_sites_own_broker(transactional_db, tmp_path):
    from tests.app.tasks import append

    with testing.waiting():
        message = append.send(str(tmp_path / "done"))
    assert job_of(message).state == State.WAITING
    assert testing.drain() == 1
    assert (tmp_path / "done").read_text() == f"{job_of(message).id}\n"
