"""Not all of a worker fails: a thread of it dies, or one of its processes stands still."""

from __future__ import annotations

import os
import signal

from tests.chaos.tasks import end_the_other_threads, linger, send, work
from tests.support.jobs import ended
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.models import Job
from tom_nightshift.states import State

THREADS = 3
HASTE = {"HEARTBEAT": 0.2}
UNRESPONSIVE = 4


def test_threads_that_die_between_jobs_are_replaced(site, trial, tmp_path):
    with site.worker(f"--threads={THREADS}", **HASTE) as worker:
        killer = ended(end_the_other_threads.send(THREADS - 1), at_most=PATIENCE)
        assert killer.result["value"] == THREADS - 1
        worker.says(f"{THREADS - 1} threads of this worker had died")
        release = tmp_path / "release"
        for _ in range(THREADS):
            linger.send(str(trial.diary), str(release))
        running = Job.objects.filter(state=State.RUNNING)
        wait_until(lambda: running.count() == THREADS, at_most=PATIENCE, what="busy threads")
        wait_until(lambda: trial.diary.read_text().count("start") == THREADS, at_most=PATIENCE, what="starts")
        release.touch()
        wait_until(lambda: not Job.objects.open().exists(), at_most=PATIENCE, what="end of all jobs")
    assert set(Job.objects.values_list("state", "attempt", "losses")) == {(State.SUCCEEDED, 1, 0)}


def test_a_thread_that_is_ended_in_a_job_does_not_keep_it(site, trial, tmp_path):
    """The job has failed, with the reason; none says that it runs though no thread runs it."""
    with site.worker("--threads=2", **HASTE) as worker:
        job = linger.send(str(trial.diary), str(tmp_path / "never"))
        wait_until(lambda: "start" in trial.diary.read_text(), at_most=PATIENCE, what="its start")
        end_the_other_threads.send(1)
        failed = ended(job, at_most=PATIENCE)
        assert (failed.state, failed.reason, failed.attempt) == (State.FAILED, "SystemExit", 1)
        after = [work.send(str(trial.diary), 0.0) for _ in range(4)]
        assert {ended(one, at_most=PATIENCE).state for one in after} == {State.SUCCEEDED}
        assert "engine fault" not in worker.log


def test_a_process_that_stands_still_is_killed_and_its_jobs_run_again(site, trial):
    haste = {**HASTE, "UNRESPONSIVE": UNRESPONSIVE, "MAX_LOSSES": 1000}
    with site.worker("--processes=2", "--threads=4", ready=2, **haste) as worker:
        send(str(trial.diary), 60, 0.5, trial.seed)
        frozen = wait_until(lambda: some_busy(worker), at_most=PATIENCE, what="a process that runs jobs")
        os.kill(frozen, signal.SIGSTOP)
        worker.says(f"process {frozen} has shown no sign of life")
        trial.ends_well("A process stands still", faults=1, in_flight=4, lease=UNRESPONSIVE)
        wait_until(lambda: frozen not in worker.children(), at_most=PATIENCE, what="its end")
        assert "engine fault" not in worker.log


def some_busy(worker):
    """A worker process that runs several jobs."""
    for pid in worker.children():
        if Job.objects.filter(state=State.RUNNING, worker__contains=f":{pid}:").count() > 1:
            return pid
    return None
