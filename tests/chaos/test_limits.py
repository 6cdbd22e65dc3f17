"""Two at a time, whatever is killed: no third ever runs beside them, and no slot is lost."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest
from django.db import transaction

from tests.chaos.conftest import LONG
from tests.chaos.tasks import work_in_a_slot
from tests.chaos.test_killed import OFTEN, PROCESSES, pause, some_children
from tom_nightshift.models import Job
from tom_nightshift.states import State

KILLS, JOBS_A_KILL = (100, 5) if LONG else (5, 6)
THREADS = 4
SLOTS = 2

pytestmark = pytest.mark.timeout(3600)


def test_processes_killed_while_two_at_a_time_may_run(site, trial, tmp_path):
    slots = tmp_path / "slots"
    slots.mkdir()
    with site.worker(f"--processes={PROCESSES}", f"--threads={THREADS}", ready=PROCESSES, **OFTEN) as worker:
        killed: set[int] = set()
        for _ in range(KILLS):
            with transaction.atomic():
                for _ in range(JOBS_A_KILL):
                    work_in_a_slot.send(str(trial.diary), str(slots), trial.chance.uniform(0, 0.4))
            pause(trial, 0.2, 0.8)
            with contextlib.suppress(ProcessLookupError):
                victim = trial.chance.choice(some_children(worker, but=killed))
                killed.add(victim)
                os.kill(victim, signal.SIGKILL)
        trial.ends_well("A process is killed, two jobs at a time", faults=KILLS, in_flight=SLOTS)
        assert "engine fault" not in worker.log
    together = [int(line) for line in (slots / "together").read_text().splitlines()]
    assert max(together) == SLOTS, f"seed {trial.seed}: {together}"
    assert set(Job.objects.values_list("state", "hold")) == {(State.SUCCEEDED, "")}
