"""``raise Later(…)``: the job goes back, holds no thread, and nothing takes that for its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.utils import timezone
from dramatiq.results import Results
from dramatiq.results.backends import StubBackend

from tests.support.jobs import actor, ended, job_of, log_of, reached, running
from tom_nightshift import Later, pause_queue, say, stack, step, testing
from tom_nightshift.broker import inline
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.exceptions import NightshiftError
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State
from tom_nightshift.web import words


class Waits:
    """A task that waits so many times for something, then gives a value."""

    def __init__(self, times, seconds=0.0, words="waiting for ATLAS"):
        self.times = times
        self.later = (seconds, words)
        self.looks = 0

    def __call__(self):
        self.looks += 1
        if self.looks <= self.times:
            raise Later(*self.later)
        return "it answered"


@pytest.fixture
def declare(broker):
    """Declare an instance as a task."""

    def declare_it(task, **options):
        return actor(lambda: task(), **{"actor_name": "task", "broker": broker} | options)

    return declare_it


def test_it_goes_back_until_then_charged_to_nobody_and_its_page_says_why(broker, declare):
    with running(broker):
        job = reached(declare(Waits(1, 600)).send(), state=State.WAITING, attempt=1)
    assert (job.hold, job.snoozes, job.failures, job.losses, job.worker) == (Hold.UNTIL, 1, 0, 0, "")
    assert 590 < (job.run_at - job.claimed_at).total_seconds() < 610
    assert [one.outcome for one in job.attempts.all()] == ["later"]
    assert (job.reason, job.error, job.attempts.get().traceback) == ("later", "waiting for ATLAS", "")
    assert words.badge(job).text == "waiting"
    assert words.sentence(job) == f"Waiting for ATLAS, next look {job.run_at.astimezone(UTC):%H:%M} UTC."


def test_until_a_moment(broker, declare):
    moment = timezone.now() + timedelta(hours=2)

    def task():
        raise Later(until=moment, words="waiting for the night")

    with running(broker):
        job = reached(declare(task).send(), state=State.WAITING, attempt=1)
    assert abs((job.run_at - moment).total_seconds()) < 5
    assert job.error == "waiting for the night"


def test_a_moment_that_has_passed_is_now(broker, declare):
    looks = []

    def task():
        looks.append(1)
        if len(looks) == 1:
            raise Later(until=timezone.now() - timedelta(hours=2))

    with running(broker):
        assert ended(declare(task).send()).snoozes == 1


def test_it_looks_again_as_often_as_it_wants_and_counts_as_one_try(broker, declare):
    with running(broker):
        job = ended(declare(Waits(4)).send())
    assert (job.state, job.result["value"]) == (State.SUCCEEDED, "it answered")
    assert (job.attempt, job.snoozes, job.failures) == (5, 4, 0)
    assert "tries" not in words.sentence(job)


def test_steps_that_are_done_stay_done(broker, declare):
    done = []

    def task():
        with step("ask") as this:
            if not this.done:
                done.append("asked")
                this.value = "request 7"
        with step("wait") as that:
            if len(done) < 2:
                done.append("waited")
                raise Later(0)
            that.value = this.value

    with running(broker):
        job = ended(declare(task).send())
    assert done == ["asked", "waited"]
    assert job.saved == {"steps": {"ask": "request 7", "wait": "request 7"}}
    assert [stage["done"] for stage in job.stages] == [True, True]


def test_what_it_said_before_is_in_its_log_and_dramatiq_does_not_warn_that_it_skipped_it(
    broker, declare, caplog
):
    looks: list[int] = []

    def task():
        say(f"look {len(looks)}")
        looks.append(1)
        if len(looks) == 1:
            raise Later(0)

    with running(broker):
        job = ended(declare(task).send())
    assert [line[9:] for line in log_of(job)] == ["look 0", "look 1"]
    assert "skipped" not in caplog.text


def test_the_task_itself_may_catch_it_as_any_exception(broker, declare):
    other = declare(Waits(1), actor_name="other")

    def task():
        try:
            other()
        except Later as later:
            return str(later)

    with running(broker):
        assert ended(declare(task).send()).result["value"] == "waiting for ATLAS"


def test_outside_a_job_it_is_raised(declare):
    with pytest.raises(Later, match="waiting for ATLAS"):
        declare(Waits(1))()


class Backend(StubBackend):
    """Dramatiq's backend for tests, that tells what it was given."""

    def __init__(self):
        super().__init__()
        self.stored: list[Any] = []

    def store_result(self, message, result, ttl):
        self.stored.append(result)
        super().store_result(message, result, ttl)


class TestDramatiq:
    """Its middleware do not see an end where there is none."""

    def test_no_retry_is_counted(self, broker, declare):
        def task():
            raise Later(600) if not declared.options.get("tried") else ValueError

        declared = declare(task, max_attempts=3, backoff=lambda *_: 0)
        with running(broker):
            message = declared.send()
            job = reached(message, state=State.WAITING, attempt=1)
            assert "retries" not in dramatiq.Message.decode(bytes(job.message)).options
            declared.options["tried"] = True
            Job.objects.update(run_at=timezone.now())
            job = ended(message)
        assert (job.state, job.failures, job.snoozes, job.attempt) == (State.FAILED, 2, 1, 4)

    def test_callbacks_and_pipelines_wait_for_the_real_end(self, broker, declare):
        told = []
        for name in ("good", "bad", "exhausted"):
            actor(lambda *_, name=name: told.append(name), actor_name=name, broker=broker)
        after = actor(lambda value: told.append(value), actor_name="after", broker=broker)
        waits = Waits(2)
        task = declare(waits, on_success="good", on_failure="bad", on_retry_exhausted="exhausted")
        with running(broker):
            dramatiq.pipeline([task.message(), after.message()], broker=broker).run()
            broker.join("default", timeout=10_000)
        assert waits.looks == 3
        assert sorted(told) == ["good", "it answered"]

    def test_results_keep_the_real_end_only(self, transactional_db, nightshift):
        backend = Backend()
        broker = DatabaseBroker([*stack.middleware(), Results(backend=backend, store_results=True)])
        waits = Waits(1)
        task = actor(lambda: waits(), actor_name="task", broker=broker)
        with running(broker):
            message = task.send()
            assert ended(message).state == State.SUCCEEDED
            assert message.get_result(backend=backend) == "it answered"
        assert backend.stored == ["it answered"]

    def test_async_tasks_too(self, broker):
        from dramatiq.middleware import AsyncIO

        broker.add_middleware(AsyncIO())
        looks = []

        async def task():
            looks.append(1)
            if len(looks) == 1:
                raise Later(0)

        task = actor(task, broker=broker)
        with running(broker):
            job = ended(task.send())
        assert (job.state, job.snoozes) == (State.SUCCEEDED, 1)


def test_of_a_job_that_was_asked_to_stop_it_is_the_end(broker, declare):
    def task():
        Job.objects.update(stop_requested=True)
        raise Later(600)

    with running(broker):
        assert ended(declare(task).send()).state == State.STOPPED


def test_in_a_paused_queue_it_waits_for_both(broker, declare, step_clock):
    with running(broker):
        message = declare(Waits(1, 60)).send()
        reached(message, state=State.WAITING, attempt=1)
        pause_queue("default")
        step_clock(61)
        broker.dispatcher.bell.ring_here()
        job = reached(message, state=State.WAITING, hold=Hold.PAUSED)
    assert words.sentence(job) == "Waiting: staff have paused jobs like this one; it begins once they let it."
    assert words.badge(job).text == "waiting: paused by staff"


class TestInline:
    """Where jobs run at once, they look again at once."""

    @pytest.fixture
    def eager(self, transactional_db, nightshift):
        return DatabaseBroker(stack.middleware(), runs_here=lambda: True)

    def test_it_has_its_end_when_send_returns_and_keeps_what_each_look_wrote(self, eager):
        def task():
            User.objects.create(username=f"look {User.objects.count()}")
            if User.objects.count() < 3:
                raise Later(3600)

        job = job_of(actor(task, broker=eager).send())
        assert (job.state, job.snoozes, User.objects.count()) == (State.SUCCEEDED, 2, 3)

    def test_it_does_not_look_for_ever(self, eager, monkeypatch):
        monkeypatch.setattr(inline, "MOST_ATTEMPTS", 3)
        waits = Waits(99)
        job = job_of(actor(lambda: waits(), actor_name="task", broker=eager).send())
        assert (job.state, waits.looks) == (State.WAITING, 3)

    def test_what_cannot_be_kept_fails(self, eager):
        """PostgreSQL keeps nothing of a transaction with an error in it."""
        looks = []

        def task():
            looks.append(1)
            User.objects.create(username=f"look {len(looks)}")
            if len(looks) < 2:
                try:
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT * FROM no_such_table")
                except DatabaseError:
                    raise Later(1) from None

        job = job_of(actor(task, broker=eager).send())
        kept = list(User.objects.values_list("username", flat=True))
        assert (job.state, kept) in [(State.FAILED, []), (State.SUCCEEDED, ["look 1", "look 2"])]

    def test_drain(self, broker, declare):
        before = dramatiq.get_broker()
        dramatiq.set_broker(broker)
        try:
            declare(Waits(2, 3600)).send()
            assert testing.drain() == 3
        finally:
            dramatiq.set_broker(before)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((), {}, "takes either seconds or until"),
        ((1,), {"until": datetime(2030, 1, 1, tzinfo=UTC)}, "takes either seconds or until"),
        ((-1,), {}, "it takes seconds, not below zero"),
        ((float("nan"),), {}, "it takes seconds, not below zero"),
        ((float("inf"),), {}, "it takes seconds, not below zero"),
        ((), {"until": datetime(2030, 1, 1)}, "give it a time zone"),  # noqa: DTZ001
    ],
)
def test_one_that_does_not_say_when_is_refused(arguments, options, words):
    with pytest.raises(ValueError, match=words):
        Later(*arguments, **options)


def test_it_is_an_error_of_ours():
    assert issubclass(Later, NightshiftError)


def test_centuries_are_cut_to_what_a_database_can_hold(broker, declare):
    with running(broker):
        job = reached(declare(Waits(1, 1e12)).send(), state=State.WAITING, attempt=1)
    assert job.run_at.year < 2100
