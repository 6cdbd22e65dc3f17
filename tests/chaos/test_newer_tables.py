"""A later migration comes while a worker of this version runs: it goes on, or says plainly what to do."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from django.db import connection

from tests.app.tasks import pass_gate
from tests.chaos.tasks import work
from tests.support.jobs import ended, job_of
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.models import Worker
from tom_nightshift.states import State

TABLES = [f"tom_nightshift_{name}" for name in ("job", "attempt", "log", "worker")]
HASTE = {"HEARTBEAT": 0.2}


@pytest.fixture
def migrate():
    """Apply a statement of a later migration; what undoes it is done at the end."""
    with ExitStack() as undoing:

        def apply(statement, undo):
            execute(statement)
            undoing.callback(execute, undo)

        yield apply


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def running(site, gate):
    """A worker that is in the middle of a job."""
    message = pass_gate.send(str(gate.folder))
    with site.worker("--threads=2", **HASTE) as worker:
        wait_until(gate.came, at_most=PATIENCE, what="begin")
        yield worker, message


def test_what_is_added_does_not_disturb_it(running, gate, trial, migrate):
    worker, message = running
    migrate("CREATE TABLE nightshift_later (id integer)", "DROP TABLE nightshift_later")
    for table in TABLES:
        migrate(f"ALTER TABLE {table} ADD later integer", f"ALTER TABLE {table} DROP later")
        migrate(f"ALTER TABLE {table} ADD more integer NOT NULL DEFAULT 7", f"ALTER TABLE {table} DROP more")
    gate.open()
    assert ended(message, at_most=PATIENCE).state == State.SUCCEEDED
    worker.kill_child()
    work.send(str(trial.diary), 0.0)
    wait_until(lambda: job_of(message).attempts.count() == 1, what="its trace")
    wait_until(lambda: trial.diary.read_text().count("end") == 1, at_most=PATIENCE, what="the next job")
    worker.says("work succeeded")
    assert "engine fault" not in worker.log
    assert "does not answer" not in worker.log


def test_a_column_that_is_gone_makes_it_wait_and_say_what_to_do(running, gate, trial, migrate):
    worker, message = running
    execute("ALTER TABLE tom_nightshift_job RENAME note TO remark")
    try:
        gate.open()
        worker.says("run ./manage.py migrate")
    finally:
        execute("ALTER TABLE tom_nightshift_job RENAME remark TO note")
    worker.says("the database answers again")
    job = ended(message, at_most=PATIENCE)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


@pytest.mark.postgres  # SQLite adds no such column to a table that is there
def test_what_it_does_not_know_and_must_write_costs_a_trace_and_not_the_job(running, gate, migrate):
    worker, message = running
    require_a_column(migrate, "tom_nightshift_attempt")
    gate.open()
    assert ended(message, at_most=PATIENCE).state == State.SUCCEEDED
    worker.says("newer than this version")


@pytest.mark.postgres
def test_a_worker_that_cannot_register_says_what_to_do(running, gate, migrate):
    worker, message = running
    require_a_column(migrate, "tom_nightshift_worker")
    worker.kill_child()
    worker.says("newer than this version")
    execute("ALTER TABLE tom_nightshift_worker ALTER later SET DEFAULT 7")
    gate.open()
    job = ended(message, at_most=PATIENCE)
    assert (job.state, job.attempt, job.losses) == (State.SUCCEEDED, 2, 1)
    assert Worker.objects.count() == 1


def require_a_column(migrate, table):
    """As Django adds a field that has a default: the database keeps none."""
    migrate(f"ALTER TABLE {table} ADD later integer NOT NULL DEFAULT 7", f"ALTER TABLE {table} DROP later")
    execute(f"ALTER TABLE {table} ALTER later DROP DEFAULT")
