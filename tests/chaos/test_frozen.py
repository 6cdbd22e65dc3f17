"""A whole host stands still while another works: its late results are refused, and it comes back as new."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from tests.chaos.conftest import LONG
from tests.chaos.tasks import send
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE, Site
from tom_nightshift.models import Job, Worker
from tom_nightshift.states import State

# On SQLite all workers are on one host, and a lock file tells what stands still from what is dead.
pytestmark = [pytest.mark.postgres, pytest.mark.timeout(1800)]

ROUNDS = 15 if LONG else 1
PROCESSES, THREADS = 2, 4
WORDS = (f"--processes={PROCESSES}", f"--threads={THREADS}")
LEASE = 2
HASTE = {"HEARTBEAT": 0.5, "LEASE": LEASE, "MAX_LOSSES": 1000}


@pytest.fixture
def other_host(site, tmp_path):
    """The same site on a host whose folders the first cannot see."""
    folder = tempfile.mkdtemp(prefix="ns-")
    logs = tmp_path / "other"
    logs.mkdir()
    yield Site(logs, folder, site.environment)
    shutil.rmtree(folder)


def test_late_results_of_a_host_that_stood_still_are_refused(site, other_host, trial):
    with site.worker(*WORDS, ready=PROCESSES, **HASTE) as frozen:
        with other_host.worker(*WORDS, ready=PROCESSES, **HASTE):
            for number in range(1, ROUNDS + 1):
                send(str(trial.diary), 60, 1.0, trial.seed + number)
                freeze(frozen, site.run_dir)
                wait_until(everything_final, at_most=LEASE + 120, what="end of all jobs elsewhere")
                os.killpg(frozen.pid, signal.SIGCONT)
                frozen.says("was taken for dead by another worker; it registers anew", number * PROCESSES)
                frozen.says(" is ready: ", (number + 1) * PROCESSES)
        send(str(trial.diary), 60, 0.1, trial.seed)
        trial.ends_well(
            "A host stands still, longer than its lease",
            faults=ROUNDS,
            in_flight=PROCESSES * THREADS,
            lease=LEASE,
        )
        assert "came too late" in frozen.log
        assert "engine fault" not in frozen.log


def freeze(worker, run_dir):
    """Stop all of its processes while they run jobs; of another host nobody sees the lock files."""
    wait_until(lambda: all_are_busy(run_dir), at_most=PATIENCE, what="running jobs")
    os.killpg(worker.pid, signal.SIGSTOP)
    for lock in Path(run_dir).glob("*.lock"):
        lock.unlink()


def all_are_busy(run_dir):
    names = list(Worker.objects.filter(lock_path__startswith=run_dir).values_list("name", flat=True))
    running = Job.objects.filter(state=State.RUNNING)
    return len(names) == PROCESSES and all(running.filter(worker=name).count() > 1 for name in names)


def everything_final():
    return not Job.objects.open().exists() and Worker.objects.count() == PROCESSES
