"""What can go wrong between who asks for a job and the worker that is to hear of it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest
from django.db import connection

from tests import databases
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE, ROOT, Site
from tom_nightshift.models import Job
from tom_nightshift.states import State
from tools import servers

MORE_THAN_FITS = 60
"""Datagrams: the kernel keeps ten of a Unix socket, or what ``max_dgram_qlen`` says."""

NOBODY = 65534

FROM_NOBODY = """
import os
from django.db import connection
from tests.app.tasks import append
from tom_nightshift.ledger import bell
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM tom_nightshift_job")
os.setegid({nobody})
os.seteuid({nobody})
append.send({file!r})
bell.ring()  # by itself, where nothing swallows what it might raise
"""

ASKS = """
from tests.app.tasks import append
for _ in range({count}):
    append.send({file!r})
"""

DIES_AT_THE_COMMIT = """
import os
from django.db import transaction
from tests.app.tasks import append
with transaction.atomic():
    transaction.on_commit(lambda: os._exit(0))
    append.send({file!r})
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "done")


def ask(site, file, count):
    site.shell(ASKS.format(file=file, count=count))


def ask_under_gevent(site, file, count):
    done = subprocess.run(
        [sys.executable, "-m", "tests.app.green", file, str(count)],
        env=site.environment_with({}) | {"PYTHONWARNINGS": "default"},  # gevent's own
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all asked for" in done.stdout


@contextmanager
def stopped(worker):
    """Meanwhile the worker's process takes nothing out of its socket."""
    (child,) = worker.children()
    wait_until(lambda: not Job.objects.open().exists())
    wait_until(lambda: stops_while_it_writes_nothing(child))
    try:
        yield
    finally:
        os.kill(child, signal.SIGCONT)


def stops_while_it_writes_nothing(process):
    """Stop it; if it has SQLite's lock in its hand just then, nobody could write, and it goes on."""
    os.kill(process, signal.SIGSTOP)
    if connection.vendor != "sqlite" or can_write(connection.settings_dict["NAME"]):
        return True
    os.kill(process, signal.SIGCONT)
    return False


def can_write(database):
    with closing(sqlite3.connect(database, timeout=0)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        other.rollback()
        return True


def all_succeeded(count):
    done = Job.objects.filter(state=State.SUCCEEDED)
    wait_until(lambda: done.count() == count, at_most=PATIENCE, what="the end of all jobs")
    return True


def test_a_web_process_under_gevent_asks_and_rings(site, file):
    with site.worker():
        ask_under_gevent(site, file, 10)
        assert all_succeeded(10)


@pytest.mark.parametrize("ask", [ask, ask_under_gevent])
def test_nobody_waits_for_a_worker_that_stands_still_with_its_socket_full(site, file, ask):
    with site.worker() as worker:
        with stopped(worker):
            ask(site, file, MORE_THAN_FITS)
            assert Job.objects.open().count() == MORE_THAN_FITS
        assert all_succeeded(MORE_THAN_FITS)


@as_root
@pytest.mark.parametrize("whose", ["the worker's", "the web server's"])
def test_web_server_and_worker_are_not_the_same_user(site, file, run_dir, whose):
    if whose == "the web server's":
        shutil.chown(run_dir, NOBODY, NOBODY)
    with site.worker():
        site.shell(FROM_NOBODY.format(file=file, nobody=NOBODY))
        assert all_succeeded(1)


def test_a_web_process_that_dies_between_the_commit_and_the_ring_loses_no_job(site, file):
    with site.worker():
        site.run("shell", "--verbosity=0", "-c", DIES_AT_THE_COMMIT.format(file=file))
        assert all_succeeded(1)


@pytest.mark.postgres
def test_by_way_of_a_pgbouncer_that_gives_each_transaction_another_session(site, file, tmp_path, run_dir):
    server = urlsplit(os.environ[databases.SERVER])
    with servers.pgbouncer(server.geturl()) as address:
        pooled = Site(tmp_path, run_dir, {databases.SERVER: address})
        with pooled.worker("--processes=2", ready=2) as worker:
            for _ in range(2):
                ask_under_gevent(pooled, file, 20)
            assert all_succeeded(40)
            assert worker.stop() == 0
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}
    assert "does not answer" not in worker.log
