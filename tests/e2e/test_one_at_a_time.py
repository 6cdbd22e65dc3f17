"""Many processes and threads, and each job runs exactly once; the supervisor touches nothing."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

from django.db import connection, transaction

from tests.app.tasks import append
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.models import Job
from tom_nightshift.states import State

JOBS = 300


def opened(pid):
    """What a process has open: files by their path, sockets by "socket:[number]"."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found.append(str(link.readlink()))
    return found


def database_of(pid):
    """Connections of a process to the test's database."""
    if connection.vendor == "sqlite":
        return [name for name in opened(pid) if name.startswith(str(connection.settings_dict["NAME"]))]
    return [name for name in opened(pid) if name in over_the_network(pid)]


def over_the_network(pid):
    """The sockets that a process may have to a server: not those between it and its own kin."""
    tables = [Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    return {f"socket:[{line.split()[9]}]" for table in tables for line in table}


def threads_of(pid):
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_of_eight_threads_in_two_processes_exactly_one_runs_each_job(site, tmp_path):
    with transaction.atomic():
        for _ in range(JOBS):
            append.send(str(tmp_path / "ran"))
    with site.worker("--processes=2", "--threads=4", ready=2) as worker:
        wait_until(lambda: not Job.objects.open().exists(), at_most=PATIENCE, what="end of all jobs")

        assert (threads_of(worker.pid), database_of(worker.pid)) == (1, [])
        for child in worker.children():
            assert threads_of(child) > 4
            assert database_of(child) != []
        assert worker.stop() == 0

    ran = Counter((tmp_path / "ran").read_text().split())
    assert ran == Counter(str(job_id) for job_id in Job.objects.values_list("id", flat=True))
    assert set(ran.values()) == {1}
    assert len(ran) == JOBS
    assert set(Job.objects.values_list("state", "attempt", "losses", "failures")) == {
        (State.SUCCEEDED, 1, 0, 0)
    }
    assert "engine fault" not in worker.log
    assert "locked" not in worker.log
