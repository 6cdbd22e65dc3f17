"""Time limits and the stages of a stop, in the threads of a worker."""

from __future__ import annotations

import ctypes
import threading
import time

import pytest
from django.db import connection
from dramatiq.middleware import Shutdown, TimeLimitExceeded

from tests.support.jobs import actor, ended, job_of, own_sql, reached, running
from tests.support.waiting import wait_until
from tom_nightshift.ledger import moves, reporter
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.ending import Ending
from tom_nightshift.ledger.options import Terms
from tom_nightshift.loop import Loop
from tom_nightshift.models import Job
from tom_nightshift.states import State
from tom_nightshift.worker.enforcer import Enforcer


@pytest.fixture
def quick(nightshift, monkeypatch):
    """Stages follow one another at once."""
    monkeypatch.setattr(reporter, "INTERVAL", 0.05)
    nightshift(STOP_PATIENCE=0.3)


def spin():
    while True:
        pass


def stop(job):
    with own_sql() as sql:
        assert moves.stop(sql, job.id, "ann") == State.RUNNING


def test_a_time_limit_ends_a_task_that_works_in_python(broker, run):
    job = run(spin, timeout=0.3)
    assert (job.state, job.reason) == (State.FAILED, "time limit")
    assert job.error.endswith("s: its time limit")


def test_a_task_may_clean_up_when_its_time_is_over(broker, run):
    cleaned = []

    def task():
        try:
            spin()
        except TimeLimitExceeded:
            cleaned.append(True)
            raise

    assert run(task, timeout=0.3).reason == "time limit"
    assert cleaned == [True]


def test_a_message_may_have_a_limit_of_its_own(broker):
    task = actor(spin, actor_name="task", broker=broker, timeout=600)
    with running(broker):
        assert ended(task.send_with_options(time_limit=300)).reason == "time limit"


def test_a_stop_that_is_not_heard_is_raised(quick, broker):
    task = actor(spin, actor_name="task", broker=broker)
    with running(broker):
        message = task.send()
        stop(reached(message, state=State.RUNNING))
        asked = job_of(message)
        assert (asked.stop_stage, asked.stop_next_at is not None) == (1, True)
        job = ended(message)
    assert (job.state, job.error) == (State.STOPPED, "stopped")


def test_the_row_says_which_stage_it_is_and_when_the_next_comes(quick, broker):
    """What cannot be interrupted waits for the end of its process; others ran beside it, and may end."""
    gate, beside = threading.Event(), threading.Event()
    task = actor(lambda: gate.wait(60), actor_name="task", broker=broker)
    other = actor(lambda: beside.wait(60), actor_name="other", broker=broker, timeout=50)
    with running(broker):
        message, neighbour = task.send(), other.send()
        reached(neighbour, state=State.RUNNING)
        stop(reached(message, state=State.RUNNING))
        # A thread that waits for a lock is in C: what was raised comes when it returns.
        reached(message, stop_stage=2)
        job = reached(message, stop_stage=3)
        with own_sql() as sql:
            ((_, seconds),) = moves.stop_news(sql, (job.id, job.attempt))
        assert 40 < float(seconds) < 60
        assert broker.dispatcher.retiring == f"job {job.id} does not end"
        beside.set()
        assert ended(neighbour).state == State.SUCCEEDED
        gate.set()
        assert ended(message).state == State.STOPPED


def test_a_stop_asked_twice_begins_once(quick, broker):
    gate = threading.Event()
    task = actor(lambda: gate.wait(60), actor_name="task", broker=broker)
    with running(broker):
        message = task.send()
        job = reached(message, state=State.RUNNING)
        stop(job)
        reached(message, stop_stage=2)
        stop(job)
        assert job_of(message).stop_stage >= 2
        gate.set()
        ended(message)


def test_after_an_interrupt_the_thread_s_connections_are_new_and_the_process_gives_way(quick, broker):
    opened = []

    def look():
        connection.ensure_connection()
        opened.append(connection.connection)

    def task():
        look()
        spin()

    task = actor(task, broker=broker, timeout=0.3)
    look = actor(look, broker=broker)
    with running(broker, threads=1):
        ended(task.send())
        wait_until(lambda: broker.dispatcher.retiring, what="retirement")
        ended(look.send())
    assert opened[0] is not opened[1]


def test_no_other_job_is_hit_by_an_interrupt_that_comes_late(quick, broker):
    """The task ends at the very moment at which its time does."""
    first = actor(lambda: ctypes.CDLL(None).usleep(300_000), actor_name="first", broker=broker, timeout=0.3)
    second = actor(lambda: sum(range(1000)), actor_name="second", broker=broker)
    with running(broker, threads=1) as worker:
        sent = [task.send() for _ in range(5) for task in (first, second)]
        states = [ended(message).state for message in sent]
        assert set(states[1::2]) == {State.SUCCEEDED}
        assert set(states[0::2]) <= {State.SUCCEEDED, State.FAILED}
        assert all(thread.is_alive() for thread in worker.workers)


def test_a_worker_that_was_taken_for_dead_interrupts_what_it_runs(quick, broker):
    ended_by, begun = [], threading.Event()

    def task():
        try:
            begun.set()
            spin()
        except Shutdown as error:
            ended_by.append(error)
            raise

    task = actor(task, broker=broker)
    with running(broker, threads=1):
        message = task.send()
        job = reached(message, state=State.RUNNING)
        assert begun.wait(30)  # claimed is not begun: the interrupt would come before the task can see it
        with own_sql() as sql:
            moves.record(sql, (job.id, 1), "lost")
            moves.finish(sql, (job.id, 1), State.LOST, reason="lost", error="", result=None)
        broker.dispatcher.declared_dead()
        wait_until(lambda: ended_by, what="interrupt")
        note = wait_until(lambda: Job.objects.get().attempts.get().error, what="note")
    assert note == "; ended returned, but too late"
    assert job_of(message).state == State.LOST


def test_what_has_ended_is_not_urged_while_its_outcome_waits_for_the_database(quick, broker):
    with running(broker):
        attempt = Attempt(1, 1, "task", "default", terms=Terms(limit=0.001))
        attempt.begun, attempt.over = time.monotonic() - 5, True
        broker.dispatcher.in_hand[attempt.token] = attempt
        enforcer = Enforcer(broker.dispatcher)
        enforcer.tick()
        untouched = attempt.ending
        attempt.over = False
        enforcer.tick()
        del broker.dispatcher.in_hand[attempt.token]
    assert untouched is None
    assert isinstance(attempt.ending, Ending)


def test_a_task_that_wants_a_process_of_its_own_says_where_there_is_none(run):
    job = run(lambda: None, isolation="process")
    assert job.state == State.FAILED
    assert "isolation='process'" in job.error
    assert "./manage.py nightshift" in job.error


def test_a_task_that_calls_another_runs_on_in_its_own_frame(broker):
    inner = actor(lambda: 3, actor_name="inner", broker=broker)
    outer = actor(lambda: inner() + 1, actor_name="outer", broker=broker)
    with running(broker):
        assert ended(outer.send()).result["value"] == 4


def test_it_sleeps_while_nothing_is_in_hand(broker):
    gate = threading.Event()
    task = actor(lambda: gate.wait(10), actor_name="task", broker=broker)
    with running(broker):
        (loop,) = (one for one in threading.enumerate() if isinstance(one, Loop) and "enforcer" in one.name)
        wait_until(lambda: loop.resting, what="rest before the first job")
        message = task.send()
        reached(message, state=State.RUNNING)
        wait_until(lambda: not loop.resting, what="the end of the rest")
        gate.set()
        ended(message)
        wait_until(lambda: loop.resting, what="rest after the last job")
