"""A secret in a job that runs in a process of its own stays in its message."""

from __future__ import annotations

from tests.app.tasks import log_in_alone
from tests.support.jobs import ended, log_of
from tests.support.workers import PATIENCE
from tom_nightshift.ledger.secrets import MASK


def test_from_a_process_of_its_own_no_secret_gets_into_the_row(site):
    message = log_in_alone.send("s3cr3t-value")
    with site.worker():
        job = ended(message, at_most=PATIENCE)
    said = [job.title, job.note, job.error, str(job.stages), str(job.result), str(job.saved), *log_of(job)]
    said += [text for attempt in job.attempts.all() for text in (attempt.error, attempt.traceback)]
    assert [text for text in said if "s3cr3t" in text] == []
    assert job.error == f"PermissionError: no access with {MASK}"
    assert job.attempts.get().traceback.strip().endswith(job.error)
    assert (job.note, job.stages[0]["name"]) == (f"with {MASK}", f"step {MASK}")
