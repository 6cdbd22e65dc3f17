"""No room on the disk of an SQLite database: the worker waits, says so, and goes on when there is room."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from django.db import connection

from tests import databases
from tests.chaos.conftest import LONG
from tests.chaos.test_database_lost import asked
from tests.support.workers import Site

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="a server's disk is not ours to fill"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk"),
]

ROUNDS = 10 if LONG else 1
THREADS = 4
SIZE = "32m"  # the rows, their indexes and a whole write-ahead log find room in it


@pytest.fixture
def disk():
    """A disk so small that it can be filled."""
    folder = Path(tempfile.mkdtemp(prefix="ns-disk-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=False)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("mount is not permitted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


@pytest.fixture
def small(disk, run_dir, tmp_path):
    """A site whose database lies on that disk, and nothing else of it."""
    its = {databases.NAME: str(disk / "small.sqlite3")}
    site = Site(tmp_path, run_dir, {"DJANGO_SETTINGS_MODULE": "tests.settings_chaos", **its})
    site.run("migrate", "--verbosity=0")
    return site


def test_it_waits_says_so_and_goes_on(small, disk, trial):
    asking = f"send({str(trial.diary)!r}, {120 * ROUNDS}, 0.3, {trial.seed})"
    small.shell(f"from tests.chaos.tasks import send; {asking}")
    with small.worker(f"--threads={THREADS}", HEARTBEAT=0.5) as worker:
        for number in range(1, ROUNDS + 1):
            threading.Event().wait(trial.chance.uniform(0.1, 1.0))
            fill(disk)
            worker.says("full); trying again", number)
            (disk / "filler").unlink()
            worker.says("the database answers again", number)
        trial.ends_well(
            "The disk is full",
            faults=ROUNDS,
            in_flight=THREADS,
            still_open=lambda: asked(small, "Job.objects.open().count()"),
            rows=lambda: asked(small, "told()"),
        )
        assert worker.process.poll() is None
        assert "was killed" not in worker.log


def fill(disk):
    """Until not one byte more fits."""
    with (disk / "filler").open("ab", buffering=0) as filler:
        for size in (65536, 4096, 1):
            try:
                while filler.write(b"0" * size):
                    pass
            except OSError:
                continue
