"""A process that dies between any two statements of a transaction, or just before or after its COMMIT."""

from __future__ import annotations

import os
import signal
from itertools import count

import pytest

from tests.chaos.conftest import LONG
from tests.chaos.crashing import CRASHES, STRIDE, Crashes
from tests.chaos.tasks import linger, stumble, work
from tests.support.jobs import job_of
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.models import Job
from tom_nightshift.states import State

SHORT_STRIDE = 16

VERBS = {
    "claim": "SET state = 'running'",
    "finish or retry": "SET state = ",
    "record": "INSERT INTO tom_nightshift_attempt",
    "rescue": "DELETE FROM tom_nightshift_worker",
    "retry, hand-back": "state = 'waiting', hold = ",
    "before commit": "before COMMIT",
    "after commit": "after COMMIT",
}
"""Processes have died in all of them by the time the long form ends (at registering only by chance: other
threads write at the same time)."""

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def crashes(site, tmp_path):
    """The moments at which the processes of this site die."""
    folder = tmp_path / "crashes"
    folder.mkdir()
    crashes = Crashes(folder, 1 if LONG else SHORT_STRIDE)
    site.environment |= {CRASHES: str(folder), STRIDE: str(crashes.stride)}
    return crashes


def test_a_process_dies_at_every_moment_in_turn(site, trial, crashes, tmp_path):
    with site.worker("--threads=3", "--grace=0.1", ready=0, MAX_LOSSES=1000) as worker:
        for number in count():
            release = tmp_path / f"release-{number}"
            if lives_through(worker, crashes, number, ask(trial, tmp_path, number, release), release):
                break
            release.touch()
        release.touch()
        crashes.make_peace()
        died = crashes.crashed()
        trial.ends_well("A process dies between two statements", faults=len(died), in_flight=3)
        assert "engine fault" not in worker.log
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCEEDED}
    assert len(died) >= (30 if LONG else 2), died
    missed = [verb for verb, words in VERBS.items() if not any(words in line for line in died)]
    assert not (LONG and missed), died


def ask(trial, folder, number, release):
    """One job that works, one that is tried again, one that is handed back when its worker is told to end."""
    diary = str(trial.diary)
    work.send(diary, 0.0)
    stumbles = stumble.send(diary, str(folder / f"stumbled-{number}"))
    return stumbles, linger.send(diary, str(release))


def lives_through(worker, crashes, number, jobs, release):
    """Whether a process has done all this, was told to end, and ended, before its moment came."""
    stumbles, lingers = jobs

    def dead():
        return len(crashes.crashed()) > number

    def done():
        return job_of(stumbles).is_final and job_of(lingers).state == State.RUNNING

    wait_until(lambda: dead() or done(), at_most=PATIENCE, what=f"moment {number}:\n{worker.log[-3000:]}")
    if dead():
        return False
    child = int(job_of(lingers).worker.split(":")[1])
    os.kill(child, signal.SIGTERM)
    wait_until(lambda: dead() or child not in worker.children(), at_most=PATIENCE, what="its end")
    return not dead()
