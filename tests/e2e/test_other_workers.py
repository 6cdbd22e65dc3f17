"""A worker that is not ours: Dramatiq's own command line. It has no supervisor that could fork a process."""

from __future__ import annotations

from tests.app.tasks import append, speak_alone
from tests.support.jobs import ended, job_of
from tests.support.workers import PATIENCE
from tom_nightshift.states import State


def test_it_runs_jobs_but_gives_none_a_process_of_its_own(site, tmp_path):
    alone, ordinary = speak_alone.send("hello"), append.send(str(tmp_path / "done"))
    with site.dramatiq("tests.app.cli", "--processes=1", "--threads=2"):
        job = ended(alone, at_most=PATIENCE)
        assert ended(ordinary, at_most=PATIENCE).state == State.SUCCEEDED
    assert (job.state, job.reason) == (State.FAILED, "task")
    assert job.error == (
        "The task speak_alone needs a process of its own (isolation='process'), and what runs jobs here "
        "cannot give it one: whoever runs this site is to run ./manage.py nightshift instead."
    )
    assert job_of(alone).attempts.get().traceback == ""  # a sentence needs none
