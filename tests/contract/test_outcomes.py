"""How a job ends under a real, unpatched Dramatiq worker: each line of the table."""

from __future__ import annotations

import threading

import dramatiq
import pytest
from django.db import transaction
from dramatiq.middleware import CurrentMessage, Middleware, Retries, SkipMessage

from tests.support.jobs import actor, ended, job_of, message_to, raising, reached, running
from tom_nightshift import TaskError, stack, warn
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.exceptions import Withdrawn
from tom_nightshift.ledger import outcomes
from tom_nightshift.ledger.hooks import JobHooks
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State


def test_ack_without_an_exception_is_succeeded_and_keeps_the_value(run):
    job = run(lambda: {"sources": 269})
    assert (job.state, job.error, job.result["value"]) == (State.SUCCEEDED, "", {"sources": 269})
    assert [attempt.outcome for attempt in job.attempts.all()] == ["succeeded"]


def test_a_warning_makes_it_warned(run):
    def task():
        warn("the core is incomplete")
        return 1

    job = run(task)
    assert (job.state, job.error, job.result["value"]) == (State.WARNED, "the core is incomplete", 1)


def test_an_exception_is_failed_with_its_words_and_a_traceback_for_staff(run):
    job = run(lambda: 1 / 0)
    attempt = job.attempts.get()
    assert (job.state, job.reason, job.error) == (
        State.FAILED,
        "ZeroDivisionError",
        "ZeroDivisionError: division by zero",
    )
    assert "1 / 0" in attempt.traceback


def test_a_sentence_for_astronomers_stands_alone(run):
    job = run(raising(TaskError("notes.fits is not a FITS file")))
    assert (job.state, job.reason, job.error) == (State.FAILED, "task", "notes.fits is not a FITS file")
    assert job.attempts.get().traceback == ""


def test_withdrawn_is_stopped(run):
    job = run(raising(Withdrawn("the upload was withdrawn")))
    assert (job.state, job.error) == (State.STOPPED, "the upload was withdrawn")


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=lambda e: type(e).__name__
)
def test_even_what_is_not_an_exception_ends_the_job_and_not_the_worker(broker, error):
    bad = actor(raising(error), actor_name="bad", broker=broker)
    good = actor(lambda: None, actor_name="good", broker=broker)
    with running(broker, threads=1):
        assert ended(bad.send()).reason == type(error).__name__
        assert ended(good.send()).state == State.SUCCEEDED


class TestRetries:
    """Dramatiq's Retries enqueues the very message again: that is a move of the same row."""

    def test_they_stay_on_one_row(self, broker):
        tries = []

        @dramatiq.actor(max_attempts=5, backoff=0.001, max_backoff=1, broker=broker)
        def task():
            tries.append(1)
            if len(tries) < 3:
                raise ValueError(f"try {len(tries)}")
            return "third time"

        with running(broker):
            job = ended(task.send())
        assert Job.objects.count() == 1
        assert (job.state, job.attempt, job.failures, job.result["value"]) == (
            State.SUCCEEDED,
            3,
            2,
            "third time",
        )
        assert [one.outcome for one in job.attempts.all()] == ["retried", "retried", "succeeded"]
        assert [one.error for one in job.attempts.all()] == ["ValueError: try 1", "ValueError: try 2", ""]

    def test_the_row_waits_for_the_back_off_and_says_why(self, broker):
        task = actor(lambda: 1 / 0, actor_name="t", max_attempts=2, backoff=3600, broker=broker)
        with running(broker):
            job = reached(task.send(), state=State.WAITING, hold=Hold.UNTIL, attempt=1)
        assert (job.reason, job.error) == ("retry", "ZeroDivisionError: division by zero")
        assert (job.run_at - job.created_at).total_seconds() > 1_000

    def test_the_last_one_fails(self, run):
        job = run(lambda: 1 / 0, max_attempts=3, backoff=0.001, max_backoff=1)
        assert (job.state, job.attempt, job.failures) == (State.FAILED, 3, 2)

    def test_the_tasks_own_connection_has_no_part_in_it(self, broker, monkeypatch):
        """It is written in the transaction that ends the attempt: a task's open one does not undo it."""

        @dramatiq.actor(max_attempts=2, backoff=3600, broker=broker)
        def task():
            transaction.set_autocommit(False)
            Job.objects.update(title="left in an open transaction")
            raise ValueError

        with running(broker):
            job = reached(task.send(), state=State.WAITING, attempt=1)
        assert job.title == "Task"

    def test_a_task_may_enqueue_its_own_message_again_without_failing(self, broker):
        rounds = []

        @dramatiq.actor(broker=broker)
        def task():
            rounds.append(1)
            if len(rounds) == 1:
                broker.enqueue(CurrentMessage.get_current_message(), delay=1)

        with running(broker):
            message = task.send()
            job = reached(message, state=State.SUCCEEDED)
        assert (len(rounds), job.attempt, job.failures, Job.objects.count()) == (2, 2, 0, 1)


def test_with_no_retries_middleware_an_exception_is_failed(transactional_db, nightshift):
    broker = DatabaseBroker([JobHooks()])
    task = actor(lambda: 1 / 0, actor_name="t", broker=broker)
    with running(broker):
        assert ended(task.send()).state == State.FAILED


def test_when_retries_own_hook_breaks_it_is_put_back_and_fails_the_third_time(broker, monkeypatch):
    monkeypatch.setattr(outcomes, "PUT_BACK_AFTER", (0.001, 0.001))

    def broken(*_, **__):
        raise RuntimeError("hook")

    monkeypatch.setattr(Retries, "after_process_message", broken)
    task = actor(lambda: 1 / 0, actor_name="t", broker=broker)
    with running(broker):
        job = ended(task.send())
    assert (job.state, job.attempt, job.failures) == (State.FAILED, 3, 2)


class Skips(Middleware):
    def __init__(self, fail=False):
        self.fail = fail

    def before_process_message(self, broker, message):
        if self.fail:
            message.fail()
        raise SkipMessage("not today")


def test_skipped_by_a_users_middleware_is_warned(broker, run):
    broker.add_middleware(Skips())
    job = run(lambda: 1 / 0)
    assert (job.state, job.reason) == (State.WARNED, "skipped")


def test_rejected_by_a_users_middleware_is_failed(broker, run):
    broker.add_middleware(Skips(fail=True))
    job = run(lambda: None)
    assert (job.state, job.reason) == (State.FAILED, "rejected")


def test_too_old_is_expired(broker):
    task = actor(lambda: 1 / 0, actor_name="t", max_age=1, broker=broker)
    message = task.message()
    broker.enqueue(message.copy(message_timestamp=message.message_timestamp - 1_000))
    with running(broker):
        assert ended(message).state == State.EXPIRED


class TestUnknownTasks:
    """A job waits for a worker that knows its task."""

    def test_it_is_parked_and_a_worker_that_knows_it_releases_it(self, broker, nightshift):
        broker.declare_queue("default")
        message = message_to("later")
        broker.enqueue(message)
        with running(broker):
            job = reached(message, hold=Hold.PARKED)
        assert (job.state, job.error) == (State.WAITING, "no worker here knows the task later")

        knows_it = DatabaseBroker(stack.middleware())
        actor(lambda: None, actor_name="later", broker=knows_it)
        with running(knows_it):
            assert ended(message).state == State.SUCCEEDED

    def test_a_worker_that_was_there_already_releases_it_with_its_next_heartbeat(self, broker, nightshift):
        nightshift(HEARTBEAT=0.1)
        knows_it = DatabaseBroker(stack.middleware())
        actor(lambda: None, actor_name="later", queue_name="here", broker=knows_it)
        with running(knows_it):
            message = message_to("later", "here")
            knows_it.enqueue(message, delay=3_600_000)
            Job.objects.update(hold=Hold.PARKED)
            assert ended(message).state == State.SUCCEEDED


def test_a_time_limit_is_said_in_words(broker):
    stopped = threading.Event()

    @dramatiq.actor(timeout=0.1, broker=broker)
    def task():
        while not stopped.wait(0.01):
            pass

    with running(broker):
        broker.emit_after("process_boot")
        job = ended(task.send())
    stopped.set()
    assert (job.state, job.reason) == (State.FAILED, "time limit")
    assert job.error.startswith("stopped after ")
    assert job.error.endswith(" s: its time limit")


def test_a_message_that_cannot_be_read_fails(broker):
    task = actor(lambda: None, actor_name="t", broker=broker)
    message = task.send()
    Job.objects.update(message=b"not a message")
    with running(broker):
        job = ended(message)
    assert (job.state, job.reason) == (State.FAILED, "unreadable")


def test_the_row_says_how_it_went_in_time(run):
    job = run(lambda: None)
    assert job.created_at <= job.claimed_at <= job.finished_at
    assert job.attempts.get().worker == job.worker != ""
    assert job_of(job).id == job.id
