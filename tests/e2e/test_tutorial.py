"""The tutorial's task: asked for in a shell, run by the worker, its lines in its log and the job's."""

from __future__ import annotations

from tests.support.jobs import log_of
from tests.support.waiting import wait_until
from tom_nightshift.models import Job
from tom_nightshift.states import State

SEND = "from myapp.tasks import super_complicated_task; print(super_complicated_task.send().message_id)"
LINES = ["starting task...", "still running...", "done!"]


def test_a_send_returns_at_once_and_the_worker_does_the_rest(site):
    message_id = site.shell(SEND)

    job = Job.objects.get()
    assert (str(job.message_id), job.task) == (message_id, "super_complicated_task")
    assert (job.state, job.started_at) == (State.WAITING, None)

    with site.worker() as worker:
        worker.says("super_complicated_task succeeded")

        job.refresh_from_db()
        said = [line for line in worker.log.splitlines() if line in LINES]
        assert (job.state, said) == (State.SUCCEEDED, LINES)
        assert [line.partition(" ")[2] for line in log_of(job)] == LINES
        assert [attempt.outcome for attempt in job.attempts.all()] == ["succeeded"]


def test_a_send_does_not_wait_for_a_worker_that_is_there(site):
    with site.worker() as worker:
        site.shell(SEND)
        job = wait_until(lambda: Job.objects.filter(state=State.RUNNING).first(), what="begin")
        assert job.finished_at is None

        worker.stop()  # lets it finish

    job.refresh_from_db()
    assert job.state == State.SUCCEEDED
