"""An upload that is being read by a real worker, and hangs, is stopped from its page: stage by stage."""

from __future__ import annotations

import pytest
from django.urls import reverse
from tom_dataproducts.models import DataProduct, PhotometryReducedDatum

from tests.support.jobs import ended
from tests.support.processors import CAME
from tests.support.waiting import wait_until
from tests.toolkit.conftest import STOCK, upload
from tom_nightshift.models import Job
from tom_nightshift.toolkit import processors

pytestmark = [pytest.mark.tom, pytest.mark.e2e, pytest.mark.timeout(180)]

PATIENT = 3.0
"""Seconds between two stages; 10 by default."""

QUICK = {"STOP_PATIENCE": PATIENT, "READ_IN_REQUEST": 10}
WITHIN = 60.0


@pytest.fixture
def person(site, settings, run_dir, client, pi):
    """Somebody at the page, in whose TOM images are read by a processor that hangs."""
    settings.NIGHTSHIFT = {"RUN_DIR": run_dir, **QUICK}
    settings.DATA_PROCESSORS = processors.deferring({**STOCK, "image_file": "tests.support.processors.Stuck"})
    client.force_login(pi)
    return client


def sentence(person, job):
    return person.get(job.get_absolute_url()).content.decode()


def at_stage(job, stage):
    """The row, once its stop has come to this stage."""

    def look():
        job.refresh_from_db()
        return job.stop_stage >= stage

    wait_until(look, at_most=WITHIN, what=f"stage {stage}")
    assert job.stop_stage == stage
    return job


def test_it_is_asked_then_interrupted_then_killed(site, person, target, media):
    with site.worker(**QUICK) as worker:
        said = upload(person, target, "a.png", b"no picture", "image_file")
        assert [words for words in said if "Being read in the background" in words]
        job = Job.objects.get()
        wait_until((media / CAME).exists, at_most=WITHIN, what=worker.log)

        assert person.post(reverse("nightshift:stop", args=[job.pk])).status_code == 302
        asked = at_stage(job, 1)
        assert (asked.state, asked.stop_by) == ("running", "pi")
        assert "Asked to stop by you" in sentence(person, job)
        first_end = asked.stop_next_at

        raised = at_stage(job, 2)
        assert raised.state == "running"
        assert "it was interrupted, and is ended by force at" in sentence(person, job)
        assert 0 < (raised.stop_next_at - first_end).total_seconds() < 3 * PATIENT

        wait_until(lambda: Job.objects.get(pk=job.pk).is_final, at_most=WITHIN, what=worker.log)
        job.refresh_from_db()
        assert (job.state, job.stop_stage, job.attempt) == ("stopped", 3, 1)
        assert job.attempts.get().outcome == "stopped"
        assert "Stopped by you at" in sentence(person, job)

        worker.says(" is ready: ", 2)  # another process has taken the place of the one that was killed
        upload(person, target)
        assert ended(Job.objects.latest("pk"), at_most=WITHIN).state == "succeeded"
    assert DataProduct.objects.count() == 2
    assert PhotometryReducedDatum.objects.count() == 3
