"""Who sees what of a job, and who may do something with it."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tom_nightshift.models import Job

pytestmark = pytest.mark.tom

PRIVATE = ("hidden error", "hidden value", "hidden log", "hidden traceback", "hidden argument")


@pytest.fixture
def shared(full_job, target):
    Job.objects.filter(pk=full_job.pk).update(target_id=target.pk)
    return full_job


@pytest.mark.parametrize(
    ("who", "status"), [("owner", 200), ("boss", 200), ("other", 404), ("staff", 404), ("", 302)]
)
def test_a_job_on_a_target_that_one_may_not_see(as_, full_job, who, status):
    Job.objects.filter(pk=full_job.pk).update(target_id=999_999)
    assert as_(who).get(full_job.get_absolute_url()).status_code == status


def test_a_job_about_nothing_is_for_its_owner_and_staff(as_, full_job):
    assert as_("staff").get(full_job.get_absolute_url()).status_code == 200
    assert as_("other").get(full_job.get_absolute_url()).status_code == 404


@pytest.mark.parametrize("who", ["owner", "boss"])
def test_owner_and_staff_read_everything(as_, shared, who):
    page = as_(who).get(shared.get_absolute_url()).content.decode()
    assert [words for words in PRIVATE if words not in page] == []
    assert "M13" in page


def test_the_worker_is_named_to_staff_only(as_, shared):
    assert "hidden worker" in as_("boss").get(shared.get_absolute_url()).content.decode()
    assert "hidden worker" not in as_("owner").get(shared.get_absolute_url()).content.decode()


def test_whoever_sees_the_target_sees_the_job_without_its_details(as_, shared):
    page = as_("other").get(shared.get_absolute_url()).content.decode()
    assert [words for words in PRIVATE if words in page] == []
    assert "An unexpected error (KeyError)" in page
    assert "Run again" not in page


def test_live_parts_hide_the_same(as_, shared):
    page = as_("other").get(reverse("nightshift:job-live", args=[shared.pk])).content.decode()
    assert [words for words in PRIVATE if words in page] == []


def test_a_sentence_meant_for_astronomers_is_for_all_who_see_the_job(as_, make_job, target):
    job = make_job("failed", reason="task", error="notes.fits is not a FITS file", target_id=target.pk)
    assert "notes.fits is not a FITS file" in as_("other").get(job.get_absolute_url()).content.decode()


def test_secrets_are_masked(as_, full_job):
    page = as_("owner").get(full_job.get_absolute_url()).content.decode()
    assert "api_token" in page
    assert "s3cr3t" not in page


@pytest.mark.parametrize(("who", "status"), [("owner", 200), ("other", 404), ("", 302)])
def test_pictures_have_the_rights_of_their_job(as_, full_job, who, status):
    picture = full_job.pictures.get()
    response = as_(who).get(reverse("nightshift:picture", args=[full_job.pk, picture.pk]))
    assert response.status_code == status
    if status == 200:
        assert response.content == b"\x89PNG"
        assert response["Content-Type"] == "image/png"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "private" in response["Cache-Control"]


def test_a_picture_is_not_found_under_another_job(as_, full_job, make_job):
    address = reverse("nightshift:picture", args=[make_job().pk, full_job.pictures.get().pk])
    assert as_("owner").get(address).status_code == 404


def test_a_picture_that_is_none_is_not_shown_as_one(as_, full_job):
    picture = full_job.pictures.get()
    picture.content_type = "text/html"
    picture.save()
    response = as_("owner").get(reverse("nightshift:picture", args=[full_job.pk, picture.pk]))
    assert response["Content-Type"] == "application/octet-stream"


def test_the_log_as_text_is_for_owner_and_staff(as_, shared):
    address = reverse("nightshift:log", args=[shared.pk])
    answer = as_("owner").get(address)
    assert answer.getvalue().decode() == "12:00:00 hidden log\n"
    assert answer["Content-Type"].startswith("text/plain")
    assert "/accounts/login/" in as_("other").get(address)["Location"]  # a TOM's way to say 403


def test_lists_hold_what_one_may_see(as_, shared, target):
    assert "Find m13.fits" in as_("owner").get("/nightshift/").content.decode()
    assert "Find m13.fits" not in as_("other").get("/nightshift/").content.decode()
    assert "Find m13.fits" in as_("other").get("/nightshift/?whose=all").content.decode()
    assert "Find m13.fits" in as_("other").get(f"/nightshift/?target={target.pk}&whose=all").content.decode()
    assert "Find m13.fits" not in as_("staff").get("/nightshift/?whose=all").content.decode()


def test_names_of_others_can_be_hidden(as_, shared, settings):
    assert "started by owner" in as_("other").get(shared.get_absolute_url()).content.decode()
    settings.TOM_HIDE_OTHER_USERS = True
    assert "started by owner" not in as_("other").get(shared.get_absolute_url()).content.decode()
    assert "started by you" in as_("owner").get(shared.get_absolute_url()).content.decode()
