"""Progress and log appear while the task runs, and no task ever waits for the database to say something."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from django.db import transaction

from tests.support.jobs import actor, ended, job_of, log_of, own_sql, reached, running
from tests.support.rivals import holding
from tests.support.waiting import wait_until
from tom_nightshift import current_job, progress, step, warn
from tom_nightshift.ledger import capture, moves, reporter
from tom_nightshift.ledger.speaking import say
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(reporter, "INTERVAL", 0.05)


@pytest.fixture
def gate():
    """Closed until the test opens it, or ends."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_progress_steps_and_log_appear_while_it_runs(broker, gate):
    def task():
        with step("download"):
            progress(3, 12, "reading frame 3 of 12")
            say("a line")
            assert gate.wait(10)

    task = actor(task, broker=broker)
    with running(broker):
        message = task.send()
        job = reached(message, done=3.0, total=12.0, note="reading frame 3 of 12")
        wait_until(lambda: log_of(job))
        assert job.state == State.RUNNING
        assert job.stages == [{"name": "download", "done": False}]
        gate.set()
        job = ended(message)
    assert job.stages[0]["done"]
    assert [line[9:] for line in log_of(job)] == ["a line"]


def test_they_appear_while_the_task_sits_in_a_transaction_that_has_written_nothing(broker, gate):
    def task():
        with transaction.atomic():
            progress(1, 2)
            gate.wait(10)

    # On SQLite every transaction of the site begins as a writer, so there its words wait for its end.
    task = actor(task, broker=broker)
    with running(broker):
        message = task.send()
        reached(message, state=State.RUNNING)
        if broker.dispatcher.connection._opened().vendor == "postgresql":
            reached(message, done=1.0)
        gate.set()
        assert ended(message).done == 1.0


def lock_the_database(sql):
    """On SQLite the begun transaction is the lock; on PostgreSQL the rows of the jobs."""
    sql.run("UPDATE tom_nightshift_job SET title = title")


def test_while_another_holds_the_lock_nothing_waits_and_nothing_is_lost(broker, gate):
    said = threading.Event()
    took = []

    def task():
        assert gate.wait(10)
        began = time.monotonic()
        for number in range(100):
            progress(number, 100)
            say(f"line {number}")
        took.append(time.monotonic() - began)
        said.set()
        release.wait(10)

    release = threading.Event()
    task = actor(task, broker=broker)
    with running(broker):
        message = task.send()
        reached(message, state=State.RUNNING)
        with holding(lock_the_database):
            gate.set()
            assert said.wait(10)
            broker.dispatcher.reporter.loop.wake()
        release.set()
        job = ended(message, at_most=30)
    assert took[0] < 1
    assert job.done == 99
    assert [line[9:] for line in log_of(job)] == [f"line {number}" for number in range(100)]


def test_one_job_whose_row_is_held_does_not_keep_the_others_silent(broker, gate):
    begun = threading.Semaphore(0)

    def task(name):
        progress(7, note=name)
        begun.release()
        gate.wait(10)

    task = actor(task, broker=broker)
    with running(broker):
        first = task.send("first")
        assert begun.acquire(timeout=10)
        if broker.dispatcher.connection._opened().vendor == "postgresql":
            job = job_of(first)
            with holding(
                lambda sql: sql.run("UPDATE tom_nightshift_job SET title = title WHERE id = %s", [job.id])
            ):
                second = task.send("second")
                reached(second, note="second")
        gate.set()
        ended(first)


def test_after_its_end_an_attempt_writes_no_more(broker):
    attempts = []

    def task():
        from tom_nightshift.ledger.attempt import current

        attempts.append(current.get())

    task = actor(task, broker=broker)
    with running(broker):
        job = ended(task.send())
        attempts[0].reports.done, attempts[0].reports.changed = 99.0, True
        attempts[0].log.add("too late")
        broker.dispatcher.reporter.watch(attempts[0])
        broker.dispatcher.reporter.tick()
    job.refresh_from_db()
    assert (job.done, log_of(job)) == (None, [])


def test_a_step_that_is_done_is_skipped_by_the_next_attempt(broker):
    downloads, tries = [], []

    def task():
        tries.append(1)
        with step("download") as this:
            if not this.done:
                downloads.append(1)
                this.value = "file.fits"
        assert this.value == "file.fits"
        with step("extract"):
            if len(tries) == 1:
                raise ValueError

    task = actor(task, max_attempts=2, backoff=0.001, max_backoff=1, broker=broker)
    with running(broker):
        job = ended(task.send())
    assert (len(downloads), len(tries), job.state) == (1, 2, State.SUCCEEDED)
    assert [(stage["name"], stage["done"]) for stage in job.stages] == [("download", True), ("extract", True)]


def test_the_running_job_knows_itself_and_asks_for_others_as_its_own(broker, django_user_model):
    ann = django_user_model.objects.create(username="ann")
    seen, children = [], []

    def parent():
        seen.append(current_job())
        children.append(child.send())

    parent, child = actor(parent, broker=broker), actor(lambda: None, actor_name="child", broker=broker)
    with running(broker):
        job = ended(parent.send_with_options(owner=ann))
        made = ended(children[0])
    assert (seen[0].id, seen[0].attempt, seen[0].owner_id, seen[0].row) == (job.id, 1, ann.id, job)
    assert (made.owner, made.parent, made.root) == (ann, job.id, job.id)


def test_logs_of_two_attempts_stand_one_after_the_other(broker):
    tries = []

    def task():
        tries.append(1)
        logging.getLogger("myapp").info("try %d", len(tries))
        if len(tries) == 1:
            raise ValueError

    task = actor(task, max_attempts=2, backoff=0.001, max_backoff=1, broker=broker)
    with capture.listening(), running(broker):
        job = ended(task.send())
    assert [line[9:] for line in log_of(job)] == ["try 1", "try 2"]
    assert [piece.attempt for piece in job.logs.all()] == [1, 2]


def test_warnings_stand_in_the_log_too(run):
    job = run(lambda: warn("the core is incomplete"))
    assert log_of(job)[0].endswith("WARNING: the core is incomplete")


def test_the_fence_also_holds_for_words(broker):
    """What an attempt that lost its row says is not written."""
    actor(lambda: None, actor_name="task", broker=broker).send()
    from tests.support.jobs import claimed

    with own_sql() as sql:
        (first,) = claimed(sql)
        moves.wait_again(
            sql, first.token, charge="", reason="", error="", message=None, hold=Hold.NONE, delay=0
        )
        claimed(sql)
        first.reports.done = 5.0
        first.log.add("from the dead")
        assert reporter.write_reports(sql, first, first.log.take()) == []
    job = Job.objects.get()
    assert (job.done, log_of(job)) == (None, [])
