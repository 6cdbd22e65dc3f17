"""What Dramatiq promises of any broker, in our words."""

from __future__ import annotations

import threading
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import QueueJoinTimeout, QueueNotFound, Retry
from dramatiq.middleware import Middleware

from tests.support.jobs import actor, ended, job_of, reached, running
from tests.support.waiting import wait_until
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State


def test_arguments_arrive_as_they_were_sent(broker):
    got: list[Any] = []
    task = actor(lambda *args, **kwargs: got.append((args, kwargs)), actor_name="task", broker=broker)
    with running(broker):
        ended(task.send(1, "zwei", [3.5, None], four={"five": True}))
    assert got == [((1, "zwei", [3.5, None]), {"four": {"five": True}})]


def test_many_jobs_run_each_once(broker):
    got: list[Any] = []
    task = actor(got.append, actor_name="task", broker=broker)
    with running(broker, threads=4):
        sent = [task.send(number) for number in range(100)]
        broker.join("default", timeout=20_000)
    assert sorted(got) == list(range(100))
    assert {job_of(message).attempt for message in sent} == {1}


def test_jobs_sent_before_the_worker_started_are_run(broker):
    got: list[Any] = []
    task = actor(got.append, actor_name="task", broker=broker)
    message = task.send(1)
    with running(broker):
        ended(message)
    assert got == [1]


def test_each_queue_has_its_consumer_and_a_worker_may_listen_to_some_only(broker):
    tasks = [actor(lambda: None, actor_name=name, queue_name=name, broker=broker) for name in ("a", "b")]
    with running(broker, queues={"a"}):
        sent = [task.send() for task in tasks]
        ended(sent[0])
        assert job_of(sent[1]).state == State.WAITING
    with running(broker):
        ended(sent[1])


def test_throws_is_not_tried_again(broker):
    task = actor(lambda: 1 / 0, actor_name="task", max_retries=5, throws=ZeroDivisionError, broker=broker)
    with running(broker):
        job = ended(task.send())
    assert (job.state, job.attempt) == (State.FAILED, 1)


def test_retry_when_decides(broker):
    def only_once(retries, error):
        return retries < 1

    task = actor(
        lambda: 1 / 0, actor_name="task", retry_when=only_once, min_backoff=1, max_backoff=1, broker=broker
    )
    with running(broker):
        job = ended(task.send())
    assert (job.state, job.attempt) == (State.FAILED, 2)


def test_a_task_may_say_when_it_is_to_be_tried_again(broker):
    def task():
        raise Retry("later", delay=3_600_000)

    task = actor(task, max_retries=1, broker=broker)
    with running(broker):
        job = reached(task.send(), state=State.WAITING, hold=Hold.UNTIL, attempt=1)
    assert (job.run_at - job.created_at).total_seconds() > 3_500


def test_max_retries_may_be_given_with_the_call(broker):
    task = actor(lambda: 1 / 0, actor_name="task", min_backoff=1, max_backoff=1, broker=broker)
    with running(broker):
        assert ended(task.send_with_options(max_retries=2)).attempt == 3


def test_on_retry_exhausted_is_told(broker):
    told = []
    actor(lambda message, how: told.append(how["retries"]), actor_name="tell", broker=broker)
    task = actor(lambda: 1 / 0, actor_name="task", on_retry_exhausted="tell", broker=broker)
    with running(broker):
        task.send()
        broker.join("default", timeout=10_000)
        wait_until(lambda: told)
    assert told == [0]


def test_pipelines_hand_results_on(broker):
    add = actor(lambda a, b: a + b, actor_name="add", broker=broker)
    with running(broker):
        dramatiq.pipeline([add.message(1, 2), add.message(3), add.message(4)], broker=broker).run()
        wait_until(lambda: Job.objects.filter(state=State.SUCCEEDED).count() == 3)
    jobs = list(Job.objects.order_by("id"))
    assert [job.result["value"] for job in jobs] == [3, 6, 10]
    assert [job.root for job in jobs] == [None, jobs[0].id, jobs[0].id]


def test_callbacks_are_called(broker):
    told = []
    actor(lambda message, result: told.append(result), actor_name="good", broker=broker)
    actor(lambda message, error: told.append(error["type"]), actor_name="bad", broker=broker)
    works = actor(lambda: 7, actor_name="works", broker=broker)
    fails = actor(lambda: 1 / 0, actor_name="fails", broker=broker)
    with running(broker):
        works.send_with_options(on_success="good")
        fails.send_with_options(on_failure="bad")
        wait_until(lambda: len(told) == 2)
    assert sorted(told, key=str) == [7, "ZeroDivisionError"]


def test_an_undeclared_queue_is_not_found(broker):
    with pytest.raises(QueueNotFound):
        broker.consume("nowhere")


@pytest.mark.database_carries
def test_declaring_a_queue_again_changes_nothing(broker):
    told = []

    class Listens(Middleware):
        def after_declare_queue(self, broker, queue_name):
            told.append(queue_name)

    broker.add_middleware(Listens())
    broker.declare_queue("one")
    broker.declare_queue("one")
    assert told == ["one"]
    assert broker.get_declared_queues() == {"one"}
    assert broker.get_declared_delay_queues() == set()


def test_join_gives_up_when_asked_to(broker):
    task = actor(lambda: None, actor_name="task", broker=broker)
    task.send_with_options(delay=3_600_000)
    with pytest.raises(QueueJoinTimeout):
        broker.join("default", timeout=30)


def test_flush_drops_what_waits_also_what_has_been_tried(broker):
    fails = actor(lambda: 1 / 0, actor_name="fails", max_attempts=2, backoff=3600, broker=broker)
    other = actor(lambda: None, actor_name="other", queue_name="other", broker=broker)
    with running(broker):
        reached(fails.send(), state=State.WAITING, attempt=1)
    other.send()
    broker.flush("default")
    assert [job.task for job in Job.objects.all()] == ["other"]
    broker.flush_all()
    assert Job.objects.count() == 0
    broker.join("default", timeout=100)


@pytest.mark.database_carries
def test_what_no_thread_began_goes_back_uncharged_when_the_worker_stops(broker):
    gate, begun = threading.Event(), threading.Event()

    def task():
        begun.set()
        gate.wait(10)

    task = actor(task, broker=broker)
    with running(broker, threads=1) as worker:
        first = task.send()
        assert begun.wait(10)
        broker.dispatcher.threads = 2  # it claims one more than Dramatiq has threads
        second = task.send()
        reached(second, state=State.RUNNING)
        wait_until(lambda: not worker.work_queue.empty())
        worker.workers[0].running = False
        gate.set()
    assert job_of(first).state == State.SUCCEEDED
    job = job_of(second)
    assert (job.state, job.hold, job.losses, job.failures) == (State.WAITING, "", 0, 0)
    assert [one.outcome for one in job.attempts.all()] == ["returned"]


@pytest.mark.database_carries
def test_what_stayed_in_a_mailbox_goes_back_too(broker):
    """A claim may be under way when the consumers close."""
    task = actor(lambda: None, actor_name="task", queue_name="q", broker=broker)
    with running(broker, queues={"nothing"}):
        wait_until(broker.dispatcher.registered.is_set)
        broker.dispatcher.open_mailbox("q")
        message = task.send()
        reached(message, state=State.RUNNING)
    assert job_of(message).state == State.WAITING


@pytest.mark.parametrize(
    "encoder", [dramatiq.JSONEncoder(), dramatiq.PickleEncoder()], ids=["json", "pickle"]
)
def test_any_encoder_will_do(broker, encoder):
    before = dramatiq.get_encoder()
    dramatiq.set_encoder(encoder)
    try:
        task = actor(lambda a: a, actor_name="task", broker=broker)
        with running(broker):
            assert ended(task.send(3)).result["value"] == 3
    finally:
        dramatiq.set_encoder(before)


def test_ending_one_worker_and_starting_another_on_the_same_broker(broker):
    task = actor(lambda: None, actor_name="task", broker=broker)
    for _ in range(2):
        with running(broker):
            assert ended(task.send()).state == State.SUCCEEDED
