"""A worker that is started before ``migrate`` waits, says what to do, and works as soon as it can."""

from __future__ import annotations

import signal

import pytest
from django.db import connection

from tests import databases
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE, Site

SEND = "from tests.app.tasks import append; append.send({!r})"


@pytest.fixture
def empty_site(transactional_db, run_dir, tmp_path):
    """A site with a database of its own, in which there is nothing."""
    if connection.vendor == "sqlite":
        yield Site(tmp_path, run_dir, {databases.NAME: str(tmp_path / "empty.sqlite3")})
        return
    name = f"{connection.settings_dict['NAME']}_empty"
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    yield Site(tmp_path, run_dir, {databases.NAME: name})
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_it_waits_and_works_once_the_tables_are_there(empty_site, tmp_path):
    with empty_site.worker(ready=0) as worker:
        worker.says("tables are not there")
        worker.says("run ./manage.py migrate")

        empty_site.run("migrate", "--verbosity=0")
        worker.says("the database answers again")
        worker.says(" is ready: ")
        empty_site.shell(SEND.format(str(tmp_path / "ran")))
        wait_until((tmp_path / "ran").exists, at_most=PATIENCE)
        worker.says("append succeeded")
        assert len(worker.children()) == 1


def test_while_it_waits_it_ends_when_told(empty_site):
    with empty_site.worker(ready=0) as worker:
        worker.says("tables are not there")
        worker.tell(signal.SIGTERM)
        assert worker.wait(at_most=8) == 0
