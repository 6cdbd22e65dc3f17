"""Processes that are spawned, as on macOS, and not forked: the same jobs, the same ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.tasks import append, pass_gate, segfault, speak_alone
from tests.support.jobs import ended, log_of, reached
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.models import Worker
from tom_nightshift.states import State
from tom_nightshift.worker import spawn


@pytest.fixture
def spawning(site):
    site.environment = {**site.environment, spawn.WANTED: "1"}
    return site


def test_a_job_alone_in_a_spawned_process_says_what_it_says_in_a_forked_one(spawning, tmp_path):
    with spawning.worker() as worker:
        (born,) = worker.children()
        assert b"NIGHTSHIFT_BORN_AS=worker" in Path(f"/proc/{born}/environ").read_bytes()
        job = ended(speak_alone.send("hello"), at_most=PATIENCE)
        assert ended(append.send(str(tmp_path / "done")), at_most=PATIENCE).state == State.SUCCEEDED
        assert worker.stop() == 0
    assert worker.log.count(" jobs at a time.") == 1  # the supervisor; who is spawned is no supervisor
    assert (job.state, job.error) == (State.WARNED, "mind the gap")
    assert [line.partition(" ")[2] for line in log_of(job)] == ["hello", "printed", "WARNING: mind the gap"]
    assert Worker.objects.count() == 0


def test_a_spawned_worker_that_is_killed_is_replaced_and_a_crash_is_told(spawning, gate, tmp_path):
    message, bad = pass_gate.send(str(gate.folder)), segfault.send(str(tmp_path / "came"))
    with spawning.worker(MAX_LOSSES=2) as worker:
        job = ended(bad, at_most=PATIENCE)  # first in a thread, then alone
        gate.open()
        wait_until(lambda: ended(message, at_most=PATIENCE), at_most=PATIENCE)
        worker.says(" is ready: ", 2)
    assert (job.state, job.losses) == (State.FAILED, 2)
    assert job.error == "set aside: it crashed the worker 2 times (a fault in a compiled library: SIGSEGV)"
    assert reached(message, state=State.SUCCEEDED).losses == 1
