"""The pages on a Django site without TOM Toolkit."""

from __future__ import annotations

import pytest
from django.apps import apps

from tests.web.conftest import HTMX

pytestmark = pytest.mark.skipif(apps.is_installed("tom_common"), reason="for a site without TOM Toolkit")


def test_pages_have_a_frame_of_their_own(as_, full_job):
    for path in ("/nightshift/", full_job.get_absolute_url()):
        page = as_("owner").get(path).content.decode()
        assert "nightshift-alone" in page
        assert "Find m13.fits" in page


@pytest.mark.parametrize(
    ("who", "status"), [("owner", 200), ("staff", 200), ("boss", 200), ("other", 404), ("", 302)]
)
def test_owners_and_staff_see_jobs(as_, full_job, who, status):
    assert as_(who).get(full_job.get_absolute_url()).status_code == status


def test_the_page_moves(as_, make_job):
    job = make_job("running")
    answer = as_("owner").get(f"/nightshift/jobs/{job.pk}/live/", **HTMX)
    assert answer.status_code == 200


def test_a_target_tells_nothing(as_):
    assert as_("boss").get("/nightshift/targets/1/").status_code == 404
