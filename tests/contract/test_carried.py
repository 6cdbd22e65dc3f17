"""A broker of Dramatiq's as a carrier: here the one that keeps its messages in memory. What Redis does more
is tried with a real one.
"""

from __future__ import annotations

import threading

import dramatiq
import pytest
from django.db import OperationalError
from dramatiq import Middleware
from dramatiq.brokers.stub import _StubConsumer
from dramatiq.errors import BrokerConnectionError
from dramatiq.results import ResultMissing, Results
from dramatiq.results.backends import StubBackend

from tests.support.carriers import in_memory
from tests.support.jobs import actor, ended, job_of, message_to, reached, running
from tests.support.waiting import wait_until
from tom_nightshift import enqueue_many
from tom_nightshift.broker import carriers, relay
from tom_nightshift.broker.carrier import ROW
from tom_nightshift.broker.results import DatabaseResults
from tom_nightshift.exceptions import SettingsRefused
from tom_nightshift.ledger import carrying, dispatcher
from tom_nightshift.ledger.handing_over import write_together
from tom_nightshift.models import Job
from tom_nightshift.states import State

ANOTHER = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def broker(transactional_db, nightshift):
    return in_memory()


@pytest.fixture
def task(broker):
    return actor(lambda number=0: number, actor_name="task", broker=broker)


@pytest.fixture
def sweeping(monkeypatch):
    monkeypatch.setattr(relay, "SWEEP", 0.05)
    monkeypatch.setattr(relay, "LEFT_AFTER", 0.1)


@pytest.fixture
def busy(broker, task):
    """A worker whose only thread is held, so that what is sent waits in the carrier; opens the gate."""
    gate, begun = threading.Event(), threading.Event()

    def hold():
        begun.set()
        gate.wait(30)

    holder = actor(hold, actor_name="hold", queue_name="held", broker=broker)
    with running(broker, threads=1):
        holder.send()
        assert begun.wait(30)
        yield gate.set
        gate.set()


def published(broker, message):
    wait_until(lambda: job_of(message).id in broker.carrier.sent, what=f"doorbell of {message}")


def test_a_job_runs_and_its_result_is_there(broker, task):
    with running(broker):
        message = task.send(7)
        job = ended(message)
        assert message.get_result(backend=DatabaseResults(), block=True) == 7
    assert (job.state, job.attempt, job.result["value"], job.published_at) == (State.SUCCEEDED, 1, 7, None)


def test_the_message_that_is_carried_names_the_row_and_says_nothing_else(broker, task):
    message = task.send(7)
    seen = []

    class Sees(Middleware):
        def before_process_message(self, broker, message):
            seen.append((message.args, message.options))

    broker.middleware.insert(0, Sees())
    with running(broker):
        job = ended(message)
    assert seen == [((), {ROW: job.id})]


def test_those_who_ask_are_heard_by_the_hooks_of_enqueue_and_who_sends_doorbells_is_not(broker, task):
    heard = []

    class Hears(Middleware):
        def before_enqueue(self, broker, message, delay):
            heard.append(message.message_id)

    broker.add_middleware(Hears())
    with running(broker):
        message = task.send()
        ended(message)
    assert heard == [message.message_id]


def test_while_the_carrier_is_away_jobs_wait_and_then_run(broker, task, caplog):
    caplog.set_level("INFO", logger="nightshift")
    broker.carrier.is_away.set()
    with running(broker):
        messages = [task.send() for _ in range(3)]
        wait_until(lambda: "Memory cannot be reached (nobody there)" in caplog.text)
        assert {job_of(message).published_at for message in messages} == {None}
        broker.carrier.is_away.clear()
        assert {ended(message).state for message in messages} == {State.SUCCEEDED}
        wait_until(lambda: "Memory answers again" in caplog.text)


def test_while_it_takes_nothing_no_doorbell_counts_as_out(broker, task, caplog):
    broker.carrier.is_full.set()
    with running(broker):
        messages = [task.send() for _ in range(3)]
        wait_until(lambda: "Memory cannot be reached (no room)" in caplog.text)
        for message in messages:
            reached(message, published_at=None, carrier_epoch="one")
        broker.carrier.is_full.clear()
        assert {ended(message).state for message in messages} == {State.SUCCEEDED}


def test_a_thread_that_waits_for_its_claim_has_it_once_the_database_is_back(broker, task, monkeypatch):
    refused: list[object] = []
    claim = carrying.claim

    def away(*given):
        if not refused:
            refused.append(given)
            raise OperationalError("away")
        return claim(*given)

    monkeypatch.setattr(carrying, "claim", away)
    with running(broker, threads=1):
        assert ended(task.send()).state == State.SUCCEEDED
    assert refused


def test_the_carrier_hears_of_the_end_once_that_is_committed(broker, task, monkeypatch):
    heard = threading.Event()
    heard_before: list[bool] = []

    class Hears(Middleware):
        def after_ack(self, broker, message):
            heard.set()

    def write(sql, items):
        heard_before.extend(heard.wait(0.3) for _ in items)
        return write_together(sql, items)

    monkeypatch.setattr(dispatcher, "write_together", write)
    broker.add_middleware(Hears())
    with running(broker):
        ended(task.send())
        assert heard.wait(30)
    assert heard_before == [False]


def test_an_end_that_the_carrier_has_to_be_told_twice_is_written_once(broker, task, monkeypatch, caplog):
    monkeypatch.setattr("dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.01)
    told, ack = [], _StubConsumer.ack

    def away_twice(consumer, message):
        told.append(message)
        if len(told) < 3:
            raise BrokerConnectionError("away")
        ack(consumer, message)

    monkeypatch.setattr(_StubConsumer, "ack", away_twice)
    with running(broker):
        job = ended(task.send())
        wait_until(lambda: len(told) == 3)
    assert job_of(told[0]).attempt == job.attempt == 1
    assert "came too late" not in caplog.text


def test_nothing_is_fetched_that_no_thread_is_free_for(broker, task, busy):
    """Another process is to hear of it."""
    message = task.send()
    published(broker, message)
    wait_until(lambda: broker.queues["default"].qsize() == 1)
    assert not broker.seats.is_free(0)
    busy()
    assert ended(message).state == State.SUCCEEDED


def test_a_refused_doorbell_leaves_a_result_that_others_keep_as_it_is(broker, task):
    kept = StubBackend()
    broker.add_middleware(Results(backend=kept, store_results=True))
    with running(broker):
        message = task.send(7)
        job = ended(message)
        broker.carrier.send(job.id, message.message_id, "default", "task")
        ended(task.send(8))
    assert message.get_result(backend=kept) == 7


def test_what_it_forgot_with_everything_else_is_sent_again(broker, task, busy, sweeping, monkeypatch):
    monkeypatch.setattr(relay, "LEFT_AFTER", 3600)
    message = task.send()
    published(broker, message)
    broker.carrier.forget_everything()
    broker.carrier.now = "two"
    wait_until(lambda: broker.carrier.sent.count(job_of(message).id) == 2)
    busy()
    assert ended(message).attempt == 1


def test_what_it_has_nothing_left_of_is_sent_again(broker, task, busy, sweeping):
    message = task.send()
    published(broker, message)
    broker.carrier.forget_everything()
    wait_until(lambda: broker.carrier.sent.count(job_of(message).id) == 2)
    busy()
    assert ended(message).attempt == 1


def test_a_doorbell_that_is_there_twice_runs_a_job_once_and_its_result_stays(broker, task):
    with running(broker):
        message = task.send(7)
        job = ended(message)
        broker.carrier.send(job.id, message.message_id, "default", "task")
        ended(task.send(8))
        assert message.get_result(backend=DatabaseResults()) == 7
    assert job_of(message).attempt == 1


def test_a_doorbell_of_another_database_is_dropped(broker, task):
    with running(broker):
        message = task.send()
        job = ended(message)
        broker.carrier.send(job.id + 1, ANOTHER, "default", "task")
        ended(task.send())
    assert Job.objects.count() == 2


def test_a_worker_that_leaves_fetches_nothing_and_lets_others_hear(broker, task, busy):
    message = task.send()
    published(broker, message)
    broker.dispatcher.stop_claiming()
    busy()
    ended(Job.objects.get(task="hold"))
    wait_until(lambda: broker.queues["default"].qsize() == 1)
    assert broker.dispatcher.claim_named(carrying.Doorbell(job_of(message).id, message.message_id)) is None
    wait_until(lambda: broker.carrier.sent.count(job_of(message).id) == 2, what="another doorbell")
    assert job_of(message).attempt == 0


def test_an_unknown_task_is_parked(broker, task):
    other = actor(lambda: None, actor_name="other", broker=broker)
    message = other.send()
    del broker.actors["other"]
    with running(broker):
        reached(message, state=State.WAITING, hold="parked")


def test_a_failure_is_tried_again_by_another_doorbell(broker):
    tried = []

    def fail():
        tried.append(1)
        if len(tried) < 3:
            raise ValueError("not yet")

    task = actor(fail, actor_name="task", broker=broker, max_attempts=3, backoff=0.01)
    with running(broker):
        job = ended(task.send())
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 3, 2)
    assert broker.carrier.sent == [job.id] * 3
    assert ROW not in dramatiq.Message.decode(bytes(job.message)).options


def test_a_task_without_rows_goes_by_the_carrier_alone(broker):
    ran = threading.Event()
    task = actor(ran.set, actor_name="task", broker=broker, track=False)
    with running(broker):
        task.send()
        assert ran.wait(30)
    assert not Job.objects.exists()


def test_many_at_once_may_be_of_both_kinds(broker, task, monkeypatch):
    monkeypatch.setattr(dramatiq, "get_broker", lambda: broker)
    ran = []
    free = actor(lambda number: ran.append(number), actor_name="free", broker=broker, track=False)
    with running(broker):
        sent = enqueue_many([task.message(1), free.message(2), task.message(3)])
        assert [message.args for message in sent] == [(1,), (2,), (3,)]
        assert {ended(sent[0]).state, ended(sent[2]).state} == {State.SUCCEEDED}
        wait_until(lambda: ran == [2])
    assert Job.objects.count() == 2


def test_a_message_that_was_sent_without_nightshift_becomes_a_job(broker, task):
    foreign = message_to("task", args=(5,))
    broker.queues["default"].put(foreign.encode())
    with running(broker):
        wait_until(lambda: Job.objects.filter(message_id=foreign.message_id).exists())
        assert ended(foreign).result["value"] == 5


def test_one_that_its_task_does_not_take_is_set_aside(broker, task, caplog):
    foreign = message_to("task", args=(1, 2, 3))
    broker.queues["default"].put(foreign.encode())
    with running(broker):
        wait_until(lambda: f"message {foreign.message_id} of task is set aside" in caplog.text)
        ended(task.send())
    assert Job.objects.count() == 1
    with pytest.raises(ResultMissing):
        foreign.get_result(backend=DatabaseResults())


def test_what_is_missing_is_named(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "tom_nightshift.broker.redis_carrier", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SettingsRefused, match=r"redis is not installed: pip install 'tom-night"):
        carriers.broker("redis://host", [], lambda: False)


@pytest.mark.parametrize("address", ["redis://host:port/0", "redis://[host/0", "redis://:hunter/22@host/0"])
def test_an_address_that_cannot_be_read_is_refused_and_not_repeated(address):
    pytest.importorskip("redis")
    with pytest.raises(SettingsRefused, match="redis://host:port/0") as refused:
        carriers.broker(address, [], lambda: False)
    assert "hunter" not in str(refused.value)


def test_two_processes_do_not_acknowledge_as_one():
    pytest.importorskip("redis")
    carried = carriers.broker("redis://host", [], lambda: False)
    before = vars(carried)["broker_id"]
    carried.carrier.begin()
    assert vars(carried)["broker_id"] != before


def test_an_acknowledgement_that_fails_for_good_keeps_no_thread(broker, task, monkeypatch):
    def broken(consumer, message):
        raise ValueError("no")

    monkeypatch.setattr(_StubConsumer, "ack", broken)
    with running(broker, threads=1):
        assert [ended(task.send()).state for _ in range(2)] == [State.SUCCEEDED] * 2
