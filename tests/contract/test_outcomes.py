"""How a job ends under a real, unpatched Dramatiq worker: each line of the table."""

from __future__ import annotations

import sys

import dramatiq
import pytest
from dramatiq.middleware import CurrentMessage, Middleware, Retries, SkipMessage

from tests.support.jobs import ended, job_of, log_of, reached, running
from tom_nightshift import TaskError, progress, result, step, warn
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.exceptions import Withdrawn
from tom_nightshift.ledger import outcomes
from tom_nightshift.ledger.hooks import JobHooks
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State


@pytest.fixture
def run(broker):
    """Run a function as a task until its job is final."""

    def run_it(fn, *args, **options):
        task = dramatiq.actor(fn, actor_name="task", broker=broker, **options)
        with running(broker):
            return ended(task.send(*args))

    return run_it


def raising(error):
    def task():
        raise error

    return task


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
    bad = dramatiq.actor(raising(error), actor_name="bad", broker=broker)
    good = dramatiq.actor(lambda: None, actor_name="good", broker=broker)
    with running(broker, threads=1):
        assert ended(bad.send()).reason == type(error).__name__
        assert ended(good.send()).state == State.SUCCEEDED


class TestRetries:
    """Dramatiq's Retries enqueues the very message again: that is a move of the same row."""

    def test_they_stay_on_one_row(self, broker):
        tries = []

        def task():
            tries.append(1)
            if len(tries) < 3:
                raise ValueError(f"try {len(tries)}")
            return "third time"

        task = dramatiq.actor(task, max_attempts=5, backoff=0.001, max_backoff=1, broker=broker)
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
        task = dramatiq.actor(lambda: 1 / 0, actor_name="t", max_attempts=2, backoff=3600, broker=broker)
        with running(broker):
            job = reached(task.send(), state=State.WAITING, hold=Hold.UNTIL, attempt=1)
        assert (job.reason, job.error) == ("retry", "ZeroDivisionError: division by zero")
        assert (job.run_at - job.created_at).total_seconds() > 1_000

    def test_the_last_one_fails(self, run):
        job = run(lambda: 1 / 0, max_attempts=3, backoff=0.001, max_backoff=1)
        assert (job.state, job.attempt, job.failures) == (State.FAILED, 3, 2)

    def test_the_tasks_own_connection_has_no_part_in_it(self, broker, monkeypatch):
        """The retry is written in the transaction that ends the attempt: a task's open transaction does not undo it."""
        from django.db import transaction

        def task():
            transaction.set_autocommit(False)
            Job.objects.update(title="left in an open transaction")
            raise ValueError

        task = dramatiq.actor(task, max_attempts=2, backoff=3600, broker=broker)
        with running(broker):
            job = reached(task.send(), state=State.WAITING, attempt=1)
        assert job.title == "Task"

    def test_a_task_may_enqueue_its_own_message_again_without_failing(self, broker):
        rounds = []

        def task():
            rounds.append(1)
            if len(rounds) == 1:
                broker.enqueue(CurrentMessage.get_current_message(), delay=1)

        task = dramatiq.actor(task, broker=broker)
        with running(broker):
            message = task.send()
            job = reached(message, state=State.SUCCEEDED)
        assert (len(rounds), job.attempt, job.failures, Job.objects.count()) == (2, 2, 0, 1)


def test_with_no_retries_middleware_an_exception_is_failed(transactional_db, nightshift):
    broker = DatabaseBroker([JobHooks()])
    task = dramatiq.actor(lambda: 1 / 0, actor_name="t", broker=broker)
    with running(broker):
        assert ended(task.send()).state == State.FAILED


def test_when_retries_own_hook_breaks_it_is_put_back_and_fails_the_third_time(broker, monkeypatch):
    monkeypatch.setattr(outcomes, "PUT_BACK_AFTER", (0.001, 0.001))

    def broken(*_, **__):
        raise RuntimeError("hook")

    monkeypatch.setattr(Retries, "after_process_message", broken)
    task = dramatiq.actor(lambda: 1 / 0, actor_name="t", broker=broker)
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
    task = dramatiq.actor(lambda: 1 / 0, actor_name="t", max_age=1, broker=broker)
    message = task.message()
    broker.enqueue(message.copy(message_timestamp=message.message_timestamp - 1_000))
    with running(broker):
        assert ended(message).state == State.EXPIRED


class TestUnknownTasks:
    """A job waits for a worker that knows its task."""

    def test_it_is_parked_and_a_worker_that_knows_it_releases_it(self, broker, nightshift):
        from tom_nightshift import stack

        broker.declare_queue("default")
        message = dramatiq.Message("default", "later", (), {}, {})
        broker.enqueue(message)
        with running(broker):
            job = reached(message, hold=Hold.PARKED)
        assert (job.state, job.error) == (State.WAITING, "no worker here knows the task later")

        knows_it = DatabaseBroker(stack.middleware())
        dramatiq.actor(lambda: None, actor_name="later", broker=knows_it)
        with running(knows_it):
            assert ended(message).state == State.SUCCEEDED

    def test_a_worker_that_was_there_already_releases_it_with_its_next_heartbeat(self, broker, nightshift):
        from tom_nightshift import stack

        nightshift(HEARTBEAT=0.1)
        knows_it = DatabaseBroker(stack.middleware())
        dramatiq.actor(lambda: None, actor_name="later", queue_name="here", broker=knows_it)
        with running(knows_it):
            message = dramatiq.Message("here", "later", (), {}, {})
            knows_it.enqueue(message, delay=3_600_000)
            Job.objects.update(hold=Hold.PARKED)
            assert ended(message).state == State.SUCCEEDED


class TestWhatCannotBeKept:
    """A return value is a warning, never a failure after the work is done; an error is kept in any case."""

    @pytest.mark.parametrize(
        "value",
        [float("nan"), object(), {"a": {1, 2}}, "x" * 70_000],
        ids=["NaN", "object", "set", "too large"],
    )
    def test_the_value(self, run, value):
        job = run(lambda: value)
        assert (job.state, job.result["value"]) == (State.WARNED, None)
        assert job.error.startswith("the return value ")

    def test_a_value_inside_itself(self, run):
        value = []
        value.append(value)
        assert run(lambda: value).state == State.WARNED

    @pytest.mark.parametrize("words", ["nul \x00 in it", "half \ud800 a character", "x" * 100_000])
    def test_words_that_no_column_takes(self, run, words):
        def task():
            progress(1, 2, words)
            with step(words[:300]) as this:
                this.value = {"said": words[:300]}
            warn(words)
            result("/there/", words)
            raise ValueError(words)

        job = run(task)
        assert job.state == State.FAILED
        assert job.error.startswith("ValueError: ")
        assert len(job.error) < 3_000
        assert job.result["made"][0]["url"] == "/there/"

    def test_an_error_that_cannot_say_what_it_is(self, run):
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError

        job = run(raising(Mute()))
        assert (job.state, job.error) == (State.FAILED, "Mute: (Mute)")

    def test_a_step_that_keeps_what_json_cannot_hold_fails_there(self, run):
        def task():
            with step("download") as this:
                this.value = object()

        job = run(task)
        assert (job.state, job.reason) == (State.FAILED, "TypeError")

    def test_progress_that_is_no_number_at_all(self, run):
        def task():
            progress(float("nan"), float("inf"))

        job = run(task)
        assert (job.state, job.done, job.total) == (State.SUCCEEDED, None, None)

    def test_an_outcome_that_is_refused_does_not_keep_others_from_their_rows(self, broker, monkeypatch):
        from django.db import IntegrityError

        true_write = outcomes.write

        def write(sql, attempt, outcome):
            if attempt.task == "poisonous":
                raise IntegrityError("refused")
            return true_write(sql, attempt, outcome)

        monkeypatch.setattr(outcomes, "write", write)
        bad = dramatiq.actor(lambda: 1, actor_name="poisonous", broker=broker)
        good = dramatiq.actor(lambda: 2, actor_name="good", broker=broker)
        with running(broker):
            sent = [good.send(), bad.send(), good.send()]
            jobs = [ended(message) for message in sent]
        assert [job.state for job in jobs] == [State.SUCCEEDED] * 3
        assert "could not be stored: IntegrityError: refused" in jobs[1].error

    def test_a_row_that_was_deleted_while_it_ran_does_not_hold_the_worker_up(self, broker):
        def task():
            print("something for the log")
            progress(1)
            Job.objects.all().delete()

        task = dramatiq.actor(task, broker=broker)
        other = dramatiq.actor(lambda: None, actor_name="other", broker=broker)
        with running(broker) as worker:
            task.send()
            from tests.support.waiting import wait_until

            wait_until(lambda: not Job.objects.exists())
            assert ended(other.send()).state == State.SUCCEEDED
            wait_until(lambda: not worker.broker.dispatcher.in_hand)


def test_a_time_limit_is_said_in_words(broker):
    import threading

    stopped = threading.Event()

    def task():
        while not stopped.wait(0.01):
            pass

    task = dramatiq.actor(task, timeout=0.1, broker=broker)
    with running(broker):
        broker.emit_after("process_boot")
        job = ended(task.send())
    stopped.set()
    assert (job.state, job.reason) == (State.FAILED, "time limit")
    assert job.error.startswith("stopped after ")
    assert job.error.endswith(" s: its time limit")


def test_a_message_that_cannot_be_read_fails(broker):
    task = dramatiq.actor(lambda: None, actor_name="t", broker=broker)
    message = task.send()
    Job.objects.update(message=b"not a message")
    with running(broker):
        job = ended(message)
    assert (job.state, job.reason) == (State.FAILED, "unreadable")


def test_the_log_has_what_was_logged_and_printed_in_order_of_this_job_alone(broker, caplog):
    import logging

    from tom_nightshift.ledger import capture

    logger = logging.getLogger("myapp.tasks")
    barrier = __import__("threading").Barrier(2, timeout=10)

    def task(name):
        for number in range(3):
            barrier.wait()
            logger.info("%s logs %d", name, number)
            print(name, "prints", number)
        try:
            raise ValueError("caught")
        except ValueError:
            logger.exception("it went wrong")

    before = sys.stdout
    capture.install()
    try:
        task = dramatiq.actor(task, broker=broker)
        with running(broker, threads=2):
            first, second = task.send("first"), task.send("second")
            logs = [log_of(ended(message)) for message in (first, second)]
    finally:
        capture.uninstall()
    assert sys.stdout is before
    for name, log in zip(("first", "second"), logs, strict=True):
        said = [line[9:] for line in log]
        assert said[:6] == [f"{name} {what} {number}" for number in range(3) for what in ("logs", "prints")]
        assert said[6] == "ERROR: it went wrong"
        assert said[-1].endswith("ValueError: caught")


def test_the_row_says_how_it_went_in_time(run):
    job = run(lambda: None)
    assert job.created_at <= job.claimed_at <= job.finished_at
    assert job.attempts.get().worker == job.worker != ""
    assert job_of(job).id == job.id
