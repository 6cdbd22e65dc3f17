"""What the doctor says of workers and of rows: each fault is caused, and found."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from django.db import connection

from tests.support.jobs import actor, claimed, job_of, message_to, own_sql, raising, reached, running
from tom_nightshift import TaskError
from tom_nightshift.doctor import jobs, rows, workers
from tom_nightshift.doctor.findings import Level
from tom_nightshift.ledger import presence
from tom_nightshift.ledger.rescue import IN_THE_REQUEST
from tom_nightshift.models import Job, Worker
from tom_nightshift.states import Hold, State

LONG = 400


@pytest.fixture
def worker(broker):
    """A worker that has its row."""
    actor(lambda: None, actor_name="task", broker=broker)
    with running(broker) as running_worker:
        assert broker.dispatcher.registered.wait(10)
        yield running_worker


@contextmanager
def row_of_a_worker(**values):
    """The row of a worker whose process is another's, or nobody's."""
    made = presence.Presence(threads=1)
    with own_sql() as sql:
        made.register(sql, ["default"])
    Worker.objects.filter(name=made.name).update(**values)
    yield made.name
    made.release_lock()


def test_nobody_alive(look, broker):
    actor(lambda: None, actor_name="task", broker=broker).send()
    found = look(workers.are_alive)["no-worker"]
    assert (found.what, found.todo) == ("no worker is alive, and 1 jobs wait.", "Run ./manage.py nightshift.")


@pytest.mark.parametrize("mode", ["eager", "off"])
def test_nobody_alive_where_nobody_is_needed(look, nightshift, mode):
    nightshift(MODE=mode)
    assert look(workers.are_alive).keys() == {""}


def test_somebody_alive(look, worker):
    for examination in (
        workers.are_alive, workers.beat, workers.hear_this_host, workers.are_wanted,
        rows.have_a_worker, rows.do_not_wait_long, rows.have_a_known_task, rows.are_not_paused,
    ):  # fmt: skip
        assert look(examination).keys() == {""}


def test_a_worker_that_is_dead_and_not_cleaned_away(look):
    with row_of_a_worker(nonce="another", host="elsewhere", beat_at="2020-01-01 00:00Z") as name:
        found = look(workers.are_alive)
    assert found.keys() == {"worker-dead", "no-worker"}
    assert name in found["worker-dead"].what


def test_a_worker_that_hangs(look, step_clock):
    with row_of_a_worker():
        step_clock(45)
        assert look(workers.beat)["worker-silent"].level == Level.WARNING
        step_clock(45)
        assert look(workers.beat)["worker-silent"].level == Level.FAULT


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
def test_workers_of_several_machines_on_one_file(look):
    with row_of_a_worker(host="elsewhere"):
        assert "elsewhere" in look(workers.are_alive)["sqlite-several-machines"].what


def test_a_worker_that_could_make_no_lock(look, nightshift, broker, tmp_path):
    (tmp_path / "file").touch()
    nightshift(RUN_DIR=str(tmp_path / "file"))
    actor(lambda: None, actor_name="task", broker=broker)
    with running(broker):
        assert broker.dispatcher.registered.wait(10)
        assert look(workers.hear_this_host).keys() == {"worker-without-lock"}


def test_a_worker_whose_doorbell_hangs_elsewhere(look, worker, nightshift, tmp_path):
    nightshift(RUN_DIR=str(tmp_path))
    assert str(tmp_path) in look(workers.hear_this_host)["worker-elsewhere"].what


def test_workers_where_jobs_run_in_the_request(look, worker, nightshift):
    nightshift(MODE="eager")
    assert look(workers.are_wanted).keys() == {"workers-unwanted"}


def test_a_queue_that_nobody_listens_to(look, our_broker):
    other = actor(lambda: None, actor_name="other", queue_name="other", broker=our_broker)
    actor(lambda: None, actor_name="task", broker=our_broker)
    with running(our_broker, queues={"default"}):
        assert our_broker.dispatcher.registered.wait(10)
        assert look(workers.listen_to_every_queue)["queue-unheard"].level == Level.WARNING
        other.send()
        found = look(workers.listen_to_every_queue)["queue-unheard"]
    assert (found.level, "1 jobs wait in the queue 'other'" in found.what) == (Level.FAULT, True)


def test_every_queue_has_a_listener(look, our_broker):
    actor(lambda: None, actor_name="task", broker=our_broker)
    with running(our_broker):
        assert our_broker.dispatcher.registered.wait(10)
        assert look(workers.listen_to_every_queue).keys() == {""}


def test_jobs_of_a_queue_that_is_paused(look, broker):
    message = actor(lambda: None, actor_name="task", broker=broker).send()
    Job.objects.filter(message_id=message.message_id).update(hold=Hold.PAUSED)
    assert "'default' was paused, and 1 jobs" in look(rows.are_not_paused)["queue-paused"].what


@pytest.fixture
def pauses():
    """The table of queues that were paused, as far as the doctor reads it."""
    with connection.cursor() as cursor:
        there = rows.PAUSES in connection.introspection.table_names(cursor)
        if not there:
            columns = "id integer, name varchar(100), paused boolean, paused_by varchar(150)"
            cursor.execute(f"CREATE TABLE {rows.PAUSES} ({columns})")
    yield
    if not there:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {rows.PAUSES}")


def test_a_queue_that_is_paused_and_empty(look, pauses):
    with connection.cursor() as cursor:
        statement = f"INSERT INTO {rows.PAUSES} (id, name, paused, paused_by) VALUES (%s, %s, %s, %s)"
        cursor.execute(statement, [1, "slow", True, "Ann"])
        cursor.execute(statement, [2, "quick", False, "Ann"])
    (found,) = look(rows.are_not_paused).values()
    assert "'slow' was paused by Ann, and 0 jobs" in found.what
    assert found.todo == "To go on: ./manage.py nightshift resume slow."


def test_jobs_whose_task_nobody_knows(look, worker, broker):
    message = broker.enqueue(message_to("nowhere"))
    reached(message, hold=Hold.PARKED)
    found = look(rows.have_a_known_task)["task-unknown"]
    assert "1 jobs wait for the task 'nowhere'" in found.what
    assert found.todo.startswith("Install the app")


def test_jobs_whose_task_only_this_process_knows(look, broker, our_broker):
    actor(lambda: None, actor_name="task", broker=broker)
    with running(broker):
        reached(broker.enqueue(message_to("new")), hold=Hold.PARKED)
    actor(lambda: None, actor_name="new", broker=our_broker)
    assert look(rows.have_a_known_task)["task-unknown"].todo == "This site knows it: restart the workers."


def test_running_jobs_whose_worker_has_no_row(look, broker):
    message = actor(lambda: None, actor_name="task", broker=broker).send()
    with own_sql() as sql:
        claimed(sql, worker="gone:1:a")
    found = look(rows.have_a_worker)["running-without-worker"]
    assert (found.level, str(job_of(message).pk) in found.what) == (Level.FAULT, True)
    with running(broker):
        assert broker.dispatcher.registered.wait(10)
        assert look(rows.have_a_worker)["running-without-worker"].level == Level.WARNING


def test_a_job_whose_web_process_died(look, broker, step_clock):
    actor(lambda: None, actor_name="task", broker=broker).send()
    with own_sql() as sql:
        claimed(sql, worker=IN_THE_REQUEST)
    assert look(rows.have_a_worker).keys() == {""}
    step_clock(3601)
    assert look(rows.have_a_worker).keys() == {"running-in-dead-request"}


def test_a_job_that_nobody_takes_though_there_are_threads(look, worker, broker, step_clock):
    broker.dispatcher.stop_claiming()
    broker.get_actor("task").send()
    assert look(rows.do_not_wait_long).keys() == {""}
    step_clock(LONG)
    assert "0 of 2 threads" in look(rows.do_not_wait_long)["ready-but-not-taken"].what


def test_a_job_that_waits_since_all_are_busy(look, broker, step_clock):
    gate = threading.Event()
    task = actor(lambda: gate.wait(20) and None, actor_name="task", broker=broker)
    with running(broker, threads=1):
        first = task.send()
        reached(first, state=State.RUNNING)
        task.send()
        step_clock(LONG)
        assert "all 1 threads" in look(rows.do_not_wait_long)["workers-busy"].what
        gate.set()


def test_failures_and_their_most_frequent_reason(look, broker, run, step_clock):
    assert look(jobs.failed_lately).keys() == {""}
    run(raising(TaskError("no bias frame\nsecond line")))
    found = look(jobs.failed_lately)["jobs-failed"]
    assert found.what == (
        "1 of the 1 jobs that ended in the last day failed, most often task (1 × task: no bias frame)."
    )
    step_clock(90_000)
    assert look(jobs.failed_lately).keys() == {""}
