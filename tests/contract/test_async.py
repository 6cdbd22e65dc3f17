"""Tasks written with ``async def``: they run, speak, are logged, stopped and timed as others are."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections
from dramatiq.asyncio import get_event_loop_thread, set_event_loop_thread

from tests.support.jobs import actor, ended, job_of, log_of, own_sql, reached, running
from tests.support.waiting import wait_until
from tom_nightshift import checkpoint, current_job, group, progress, say, stack, step
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.ledger import capture, moves, reporter
from tom_nightshift.models import Job
from tom_nightshift.states import State


@pytest.fixture
def quick(nightshift, monkeypatch):
    """Stages of a stop follow one another at once."""
    monkeypatch.setattr(reporter, "INTERVAL", 0.05)
    nightshift(STOP_PATIENCE=0.3)


async def sleep_for_ever():
    await asyncio.Event().wait()


def stop(message):
    job = reached(message, state=State.RUNNING)
    with own_sql() as sql:
        moves.stop(sql, job.id, "ann")


def test_it_runs_and_what_it_returns_is_kept(broker):
    async def add(a, b):
        await asyncio.sleep(0)
        return a + b

    with running(broker):
        job = ended(actor(add, broker=broker).send(1, 2))
    assert (job.state, job.result["value"]) == (State.SUCCEEDED, 3)


def test_many_share_one_thread(broker):
    threads = set()
    gate = threading.Barrier(4)

    async def meet():
        threads.add(threading.current_thread())
        await asyncio.to_thread(gate.wait, 10)  # only together do they come through

    task = actor(meet, broker=broker)
    with running(broker, threads=4):
        assert {ended(message).state for message in [task.send() for _ in range(4)]} == {State.SUCCEEDED}
    assert len(threads) == 1


def test_what_it_says_goes_to_its_own_job(broker):
    gate = threading.Barrier(2)

    async def talk(name):
        with step(f"step of {name}"):
            say(f"{name} says")
            logging.getLogger("myapp").info("%s logs", name)
            await asyncio.to_thread(gate.wait, 10)
            await asyncio.create_task(deeper(name))
            progress(1, 2, name)
        return current_job().id

    async def deeper(name):
        say(f"{name} deeper")

    task = actor(talk, broker=broker)
    with capture.listening(), running(broker):
        ann, bob = [ended(message) for message in [task.send("ann"), task.send("bob")]]
    for job, name in ((ann, "ann"), (bob, "bob")):
        assert [line[9:] for line in log_of(job)] == [f"{name} says", f"{name} logs", f"{name} deeper"]
        assert (job.note, job.result["value"], job.stages[0]["name"]) == (name, job.id, f"step of {name}")


def test_the_start_of_the_event_loop_is_in_the_log_of_no_job(broker):
    if (there := get_event_loop_thread()) is not None:
        there.stop()
    set_event_loop_thread(None)

    async def talk():
        say("here")

    with capture.listening(), running(broker):
        job = ended(actor(talk, broker=broker).send())
    assert [line[9:] for line in log_of(job)] == ["here"]


def test_an_error_in_it_fails_it(broker):
    async def fail():
        await asyncio.sleep(0)
        raise KeyError("no such frame")

    with running(broker):
        job = ended(actor(fail, broker=broker).send())
    assert (job.state, job.error) == (State.FAILED, "KeyError: 'no such frame'")


def test_a_time_limit_cancels_it(broker):
    cleaned = []

    async def linger():
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with running(broker):
        job = ended(actor(linger, timeout=0.3, broker=broker).send())
    assert (job.state, job.reason, cleaned) == (State.FAILED, "time limit", [True])


def test_stop_is_heard_at_a_checkpoint(quick, broker):
    async def listen():
        while True:
            checkpoint()
            await asyncio.sleep(0.01)

    with running(broker):
        message = actor(listen, broker=broker).send()
        stop(message)
        assert ended(message).state == State.STOPPED


def test_stop_that_is_not_heard_cancels_it(quick, broker):
    with running(broker):
        message = actor(sleep_for_ever, broker=broker).send()
        stop(message)
        assert ended(message).state == State.STOPPED


def test_stop_of_one_that_does_not_let_itself_be_cancelled_ends_the_job(quick, broker):
    gate = threading.Event()

    async def block():
        gate.wait(20)  # holds the event loop

    with running(broker):
        message = actor(block, broker=broker).send()
        try:
            stop(message)
            job = ended(message)
        finally:
            gate.set()
    assert job.state == State.STOPPED


def test_it_may_ask_for_other_jobs(broker):
    inner = actor(lambda: None, actor_name="inner", broker=broker)

    async def ask():
        inner.send()
        group([inner.message(), inner.message()], broker=broker).run()

    with running(broker):
        asker = ended(actor(ask, broker=broker).send())
        wait_until(lambda: Job.objects.filter(state=State.SUCCEEDED).count() == 4)
    assert set(Job.objects.filter(task="inner").values_list("parent", flat=True)) == {asker.id}


def test_a_caller_in_an_event_loop_may_ask_for_jobs(broker):
    task = actor(lambda: None, actor_name="task", broker=broker)

    async def view():
        return task.send()

    assert job_of(asyncio.run(view())).state == State.WAITING


def test_it_uses_the_database_as_django_wants_it(broker):
    async def write():
        try:
            await User.objects.acreate(username="ann")
            return await sync_to_async(User.objects.count)()
        finally:
            await sync_to_async(connections.close_all)()  # of the thread that Django keeps for them

    with running(broker):
        assert ended(actor(write, broker=broker).send()).result["value"] == 1


def test_it_runs_where_jobs_run_at_once(transactional_db, nightshift):
    eager = DatabaseBroker(stack.middleware(), runs_here=lambda: True)

    async def add(a, b):
        return a + b

    assert job_of(actor(add, broker=eager).send(1, 2)).result["value"] == 3
