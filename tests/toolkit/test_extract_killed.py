"""``kill -9`` in the middle of a mosaic: the next try goes on at the CCD that was reached, and what comes out
is to the last byte what comes out of a run that nobody disturbs.
"""

from __future__ import annotations

import os
import re

import pytest
from tom_dataproducts.models import DataProduct

from tests.support.jobs import ended, job_of, log_of, own_sql
from tests.support.waiting import wait_until
from tests.toolkit.conftest import make_product, make_target
from tests.toolkit.test_extract import mosaic
from tom_nightshift.astro.tasks.extract import extract_sources
from tom_nightshift.ledger import moves
from tom_nightshift.models import Job

pytestmark = [pytest.mark.tom, pytest.mark.e2e, pytest.mark.timeout(900)]

CCDS, SIDES = 5, (320, 320)
WITHIN = 180.0


@pytest.fixture
def product(transactional_db):
    return make_product(make_target("M13"), "mosaic.fits", mosaic(CCDS, SIDES), "fits_file")


def kept(media, job):
    """The CCDs whose catalogues are kept."""
    files = (media / ".nightshift").glob(f"{job.pk}-*/*/[0-9]*.ecsv.gz")
    return {int(file.name.partition(".")[0]) for file in files}


def searched_by(job, number):
    """The CCDs that a try has searched, as far as its last second was written to the log."""
    log = "".join(piece.text for piece in job.logs.filter(attempt=number))
    return [int(ccd) for ccd in re.findall(r"CCD (\d) of \d: [\d,]+ sources", log)]


def made_by(job):
    """All that a job has made, as bytes, with the picture and the words of its page."""
    contents = []
    for made in job.result["made"]:
        with DataProduct.objects.get(pk=made["pk"]).data.open() as file:
            contents.append(file.read())
    with DataProduct.objects.get(pk=job.subject_id).thumbnail.open() as file:
        contents.append(file.read())
    return [*contents, bytes(job.pictures.get().data), job.result["value"]]


def kill_after(ccd, worker, media, job):
    """``kill -9`` the process once this CCD's catalogue is kept."""
    wait_until(lambda: ccd in kept(media, job), at_most=WITHIN, what=f"CCD {ccd}:\n{worker.log}")
    worker.kill_child()


@pytest.mark.parametrize("kills", [(1,), (3,), (5,), (2, 4)], ids=str)
def test_the_next_try_goes_on_and_nothing_is_different(site, product, media, kills):
    with site.worker() as worker:
        undisturbed = made_by(ended(extract_sources.send(product.pk), at_most=WITHIN))
        message = extract_sources.send(product.pk)
        for ccd in kills:
            kill_after(ccd, worker, media, job_of(message))
        job = ended(message, at_most=WITHIN)

    assert (job.state, job.losses) == ("succeeded", len(kills))
    assert made_by(job) == undisturbed
    ccds = [f"CCD {number} of {CCDS}" for number in range(1, CCDS + 1)]
    done = [stage["name"] for stage in job.stages if stage["done"]]
    assert done == [*ccds, "draw the picture", "save the catalogue"]
    for number, ccd in enumerate(kills, start=2):
        assert min(searched_by(job, number), default=CCDS + 1) > ccd


def test_the_log_says_what_was_not_done_again_and_the_bar_does_not_go_back(site, product, media):
    with site.worker() as worker:
        message = extract_sources.send(product.pk)
        kill_after(3, worker, media, job_of(message))
        seen = []

        def is_over():
            job = job_of(message)
            if job.attempt == 2 and job.done is not None:
                seen.append(job.done)
            return job.is_final

        wait_until(is_over, at_most=WITHIN)
        job = job_of(message)
    said = [line for line in log_of(job) if "1st try" in line]
    assert len(said) == 1
    first, last = re.search(r"CCD (\d) to (\d) were done by the 1st try", said[0]).groups()
    assert (first, last >= "3") == ("1", True)
    assert seen == sorted(seen)
    assert seen[0] >= 3


def test_stopped_it_leaves_nothing_behind(site, product, media):
    with site.worker() as worker:
        message = extract_sources.send(product.pk)
        job = job_of(message)
        wait_until(lambda: kept(media, job), at_most=WITHIN, what=worker.log)
        with own_sql() as sql:
            moves.stop(sql, job.pk, "somebody")
        assert ended(message, at_most=WITHIN).state == "stopped"
        wait_until(lambda: not os.listdir(media / ".nightshift"), at_most=30, what="removal of its folder")
    assert Job.objects.count() == 1
