"""A lock file that says nothing, or not what it should: nobody living is robbed, and nobody dead is kept."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from django.db import connection

from tests.app.tasks import pass_gate
from tests.chaos.conftest import LONG
from tests.support.jobs import ended, job_of
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE, Site
from tom_nightshift.models import Worker
from tom_nightshift.states import State

LEASE = 0.6
HASTE = {"HEARTBEAT": 0.1, "LEASE": LEASE}


def remove(lock):
    lock.unlink()


def replace_by_another_file(lock):
    """As when a folder was copied, or made anew with the same names."""
    copy = lock.with_suffix(".copy")
    copy.write_bytes(lock.read_bytes())
    copy.rename(lock)


def write_another_nonce(lock):
    """As when a device and an inode happen to be the same in two containers."""
    lock.write_text("0" * 32)


def leave(lock):
    pass


WAYS = [remove, replace_by_another_file, write_another_nonce]


@pytest.fixture
def other_container(site, tmp_path):
    """The same site with a folder of its own for lock files."""
    folder = tempfile.mkdtemp(prefix="ns-")
    logs = tmp_path / "other"
    logs.mkdir()
    yield Site(logs, folder, site.environment)
    shutil.rmtree(folder)


def confuse(way, run_dir):
    [lock] = Path(run_dir).glob("*.lock")
    way(lock)


def has_judged(name):
    """Whether that worker has been beating for longer than two leases, so that it has judged by silence."""
    one = Worker.objects.filter(name=name).first()
    return one and (one.beat_at - one.started_at).total_seconds() > 2 * LEASE + 1


@pytest.mark.parametrize("way", [leave, *WAYS] if LONG else WAYS[:1])
def test_a_living_worker_keeps_its_job(site, other_container, gate, way):
    message = pass_gate.send(str(gate.folder))
    with site.worker("--threads=1", **HASTE):
        wait_until(gate.came, at_most=PATIENCE, what="begin")
        confuse(way, site.run_dir)
        mine = Worker.objects.get().name
        with other_container.worker("--threads=1", **HASTE) as other:
            judge = Worker.objects.exclude(name=mine).get().name
            wait_until(lambda: has_judged(judge), at_most=PATIENCE, what="a judgement")
            assert "is dead" not in other.log
            gate.open()
            job = ended(message)
    assert (job.state, job.attempt, job.losses) == (State.SUCCEEDED, 1, 0)


@pytest.mark.postgres  # on SQLite a silent worker of this host is given ten leases: a test of its own
@pytest.mark.parametrize("way", WAYS if LONG else WAYS[-1:])
def test_a_dead_worker_loses_it_after_the_lease(site, other_container, gate, way):
    message = pass_gate.send(str(gate.folder))
    with site.worker("--threads=1", **HASTE) as first:
        wait_until(gate.came, at_most=PATIENCE, what="begin")
        confuse(way, site.run_dir)
        os.killpg(first.pid, signal.SIGKILL)
        with other_container.worker("--threads=1", **HASTE) as other:
            other.says("is dead; 1 of its jobs returned")
            gate.open()
            job = ended(message)
    assert (job.state, job.attempt, job.losses) == (State.SUCCEEDED, 2, 1)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite's ten leases")
def test_a_dead_worker_without_a_lock_file_loses_it_after_ten_leases(site, gate):
    message = pass_gate.send(str(gate.folder))
    with site.worker("--threads=1", **HASTE) as first:
        wait_until(gate.came, at_most=PATIENCE, what="begin")
        confuse(remove, site.run_dir)
        os.killpg(first.pid, signal.SIGKILL)
    gate.open()
    with site.worker("--threads=1", **HASTE):
        wait_until(lambda: job_of(message).is_final, at_most=10 * LEASE + PATIENCE, what="another attempt")
    job = job_of(message)
    assert (job.state, job.attempt, job.losses) == (State.SUCCEEDED, 2, 1)
