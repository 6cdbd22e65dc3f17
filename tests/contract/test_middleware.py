"""Every middleware that Dramatiq ships works on the database broker: for each a class of its name."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import threading

import dramatiq
import pytest
from dramatiq.middleware import (
    AgeLimit,
    AsyncIO,
    Callbacks,
    CurrentMessage,
    GroupCallbacks,
    Middleware,
    Pipelines,
    Retries,
    ShutdownNotifications,
    TimeLimit,
)
from dramatiq.results import ResultFailure, Results

from tests.support.jobs import actor, ended, job_of, reached, running
from tests.support.waiting import wait_until
from tom_nightshift import stack
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.broker.groups import JobGroups
from tom_nightshift.broker.rate_limits import DatabaseRates
from tom_nightshift.broker.results import DatabaseResults
from tom_nightshift.models import Job
from tom_nightshift.states import State

ELSEWHERE = {"Prometheus", "Results"}
"""Shipped outside ``dramatiq.middleware``."""


@pytest.fixture
def broker_with(transactional_db, nightshift):
    """The whole stack, but this middleware of Dramatiq's in the place of ours of the same kind."""

    def make(middleware):
        others = [one for one in stack.middleware() if not isinstance(one, type(middleware))]
        return DatabaseBroker([*others, middleware])

    return make


def test_each_is_tried_here():
    shipped = {
        name
        for name, kind in inspect.getmembers(dramatiq.middleware, inspect.isclass)
        if issubclass(kind, Middleware) and kind is not Middleware
    }
    tried = {name.removeprefix("Test") for name in globals() if name.startswith("Test")}
    assert tried == shipped | ELSEWHERE


class TestAgeLimit:
    def test_what_is_too_old_when_its_turn_comes_expires(self, broker_with):
        broker = broker_with(AgeLimit(max_age=1))
        ran: list[int] = []
        message = actor(ran.append, actor_name="task", broker=broker).send(1)
        wait_until(lambda: dramatiq.common.current_millis() - message.message_timestamp > 5)
        with running(broker):
            assert ended(message).state == State.EXPIRED
        assert ran == []


class TestAsyncIO:
    def test_its_event_loop_runs_async_tasks(self, broker_with):
        broker = broker_with(AsyncIO())

        async def task():
            await asyncio.sleep(0)
            return threading.current_thread().name

        with running(broker):
            job = ended(actor(task, broker=broker).send())
        assert job.state == State.SUCCEEDED
        assert "WorkerThread" not in job.result["value"]


class TestCallbacks:
    def test_both_are_called_with_the_message_and_what_came(self, broker_with):
        broker = broker_with(Callbacks())
        told: list[object] = []
        actor(
            lambda message, came: told.append((message["actor_name"], came)), actor_name="tell", broker=broker
        )
        actor(lambda: 7, actor_name="good", on_success="tell", broker=broker).send()
        actor(lambda: 1 / 0, actor_name="bad", on_failure="tell", broker=broker).send()
        with running(broker):
            wait_until(lambda: len(told) == 2)
        bad, good = sorted(told, key=repr)
        assert good == ("good", 7)
        assert bad == ("bad", {"type": "ZeroDivisionError", "message": "division by zero"})


class TestCurrentMessage:
    def test_it_is_there_during_the_task_and_not_after_it(self, broker_with):
        broker = broker_with(CurrentMessage())
        seen: list[object] = []
        task = actor(
            lambda: seen.append(CurrentMessage.get_current_message().message_id),
            actor_name="task",
            broker=broker,
        )
        with running(broker):
            message = task.send()
            ended(message)
        assert seen == [message.message_id]
        assert CurrentMessage.get_current_message() is None


class TestGroupCallbacks:
    @pytest.mark.parametrize("middleware", [lambda: GroupCallbacks(DatabaseRates()), JobGroups])
    def test_the_callback_comes_when_all_are_done(self, broker_with, middleware):
        broker = DatabaseBroker(
            [one for one in stack.middleware() if not isinstance(one, GroupCallbacks)] + [middleware()]
        )
        told: list[str] = []
        tell = actor(told.append, actor_name="tell", broker=broker)
        task = actor(lambda: None, actor_name="task", broker=broker)
        group = dramatiq.group([task.message() for _ in range(5)], broker=broker)
        group.add_completion_callback(tell.message("all"))
        with running(broker, threads=4):
            group.run()
            wait_until(lambda: told)
            wait_until(lambda: not Job.objects.open().exists())
        assert told == ["all"]


class TestPipelines:
    def test_results_are_handed_on_unless_that_is_not_wanted(self, broker_with):
        broker = broker_with(Pipelines())
        add = actor(lambda *numbers: sum(numbers), actor_name="add", broker=broker)
        alone = add.message_with_options(args=(5, 5), pipe_ignore=True)
        line = dramatiq.pipeline([add.message(1, 2), add.message(3), alone], broker=broker).run()
        with running(broker):
            assert line.get_result(block=True) == 10
            assert list(line.get_results()) == [3, 6, 10]


class TestPrometheus:
    def test_it_counts(self, broker_with, tmp_path, monkeypatch):
        pytest.importorskip("prometheus_client")
        monkeypatch.setenv("dramatiq_prom_db", str(tmp_path))
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        monkeypatch.delitem(sys.modules, "dramatiq.middleware.prometheus", raising=False)
        prometheus = importlib.import_module("dramatiq.middleware.prometheus").Prometheus()
        broker = broker_with(prometheus)
        broker.emit_after("process_boot")
        good = actor(lambda: None, actor_name="good", broker=broker)
        bad = actor(
            lambda: 1 / 0, actor_name="bad", max_retries=1, min_backoff=1, max_backoff=1, broker=broker
        )
        with running(broker):
            for message in (good.send(), good.send(), bad.send()):
                ended(message)
            wait_until(lambda: prometheus.total_rejected_messages.labels("default", "bad")._value.get())

        def count(metric, task):
            return metric.labels("default", task)._value.get()

        assert count(prometheus.total_messages, "good") == 2
        assert count(prometheus.total_messages, "bad") == 2
        assert count(prometheus.total_errored_messages, "bad") == 2
        assert count(prometheus.total_retried_messages, "bad") == 1
        assert count(prometheus.total_rejected_messages, "bad") == 1
        assert count(prometheus.inprogress_messages, "good") == 0


class TestRetries:
    def test_it_says_how_often_and_when(self, broker_with):
        broker = broker_with(Retries(max_retries=3, min_backoff=1, max_backoff=5))
        tries: list[int] = []

        def stumble():
            tries.append(1)
            if len(tries) < 3:
                raise ValueError
            return len(tries)

        with running(broker):
            job = ended(actor(stumble, broker=broker).send())
        assert (job.state, job.attempt, job.failures, job.result["value"]) == (State.SUCCEEDED, 3, 2, 3)


class TestShutdownNotifications:
    def test_who_asked_for_it_is_told_and_runs_again(self, broker_with):
        broker = broker_with(ShutdownNotifications(notify_shutdown=True))
        broker.emit_after("process_boot")
        heard: list[str] = []

        def linger():
            try:
                while True:
                    pass
            except dramatiq.middleware.Shutdown:
                heard.append("shutdown")
                raise

        message = actor(linger, broker=broker).send()
        with running(broker):
            reached(message, state=State.RUNNING)
            wait_until(lambda: broker.dispatcher.in_hand.all()[0].frame.entered)
        assert heard == ["shutdown"]
        job = job_of(message)
        assert (job.state, job.failures, job.losses) == (State.WAITING, 0, 0)


class TestTimeLimit:
    def test_it_ends_what_takes_too_long(self, broker_with):
        broker = broker_with(TimeLimit(time_limit=100, interval=20))
        broker.emit_after("process_boot")

        def spin():
            while True:
                pass

        with running(broker):
            job = ended(actor(spin, broker=broker).send())
        assert (job.state, job.reason) == (State.FAILED, "time limit")


class TestResults:
    def test_with_our_backend(self, broker_with):
        broker = broker_with(Results(backend=DatabaseResults(), store_results=True))
        backend = broker.get_results_backend()
        task = actor(lambda a: 10 / a, actor_name="task", broker=broker)
        with running(broker):
            assert task.send(2).get_result(backend=backend, block=True) == 5
            with pytest.raises(ResultFailure, match="division by zero"):
                task.send(0).get_result(backend=backend, block=True)
