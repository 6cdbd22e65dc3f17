"""Where an upload is read, by TOM Toolkit's real upload view and by REST."""

from __future__ import annotations

import pytest
from django.db import connection
from django.urls import reverse
from guardian.shortcuts import assign_perm, get_groups_with_perms
from rest_framework.test import APIClient
from tom_dataproducts.models import DataProduct, PhotometryReducedDatum

from tests.toolkit.conftest import M13, PHOTOMETRY, STOCK, make_product, make_target, upload
from tom_nightshift import modes, testing
from tom_nightshift.models import Job
from tom_nightshift.toolkit import processors, uploads

pytestmark = [pytest.mark.tom, pytest.mark.django_db]

WATCH = "Being read in the background: watch it"


@pytest.fixture
def large(settings):
    """Every table is a large one."""
    settings.NIGHTSHIFT = {"READ_IN_REQUEST": 10}


@pytest.fixture
def logged_in(client, pi):
    client.force_login(pi)
    return client


def points():
    return PhotometryReducedDatum.objects.count()


def test_a_small_table_is_read_in_the_request(logged_in, target, worker):
    with testing.waiting():
        said = upload(logged_in, target)
    assert points() == 3
    assert not Job.objects.exists()
    assert said == ["Successfully uploaded: M13/none/points.csv".replace("M13", "m13")]


def test_a_bad_small_table_keeps_tom_toolkit_s_own_error(logged_in, target, worker):
    with testing.waiting():
        said = upload(logged_in, target, content="this,is\nno,photometry\n")
    assert [words for words in said if "There was a problem processing your file" in words]
    assert not DataProduct.objects.exists()


@pytest.mark.parametrize(("limit", "jobs"), [(len(PHOTOMETRY), 0), (len(PHOTOMETRY) - 1, 1)])
def test_at_most_so_many_bytes_are_read_in_the_request(logged_in, target, worker, settings, limit, jobs):
    settings.NIGHTSHIFT = {"READ_IN_REQUEST": limit}
    with testing.waiting():
        upload(logged_in, target)
    assert Job.objects.count() == jobs


def test_a_large_table_is_read_by_a_job(logged_in, target, worker, large, pi):
    with testing.waiting():
        said = upload(logged_in, target)
        assert points() == 0
        job = Job.objects.get()
        assert (job.title, job.owner, job.target_id) == ("Read points.csv", pi, target.pk)
        assert job.subject == DataProduct.objects.get()
        assert f'<a href="/nightshift/jobs/{job.pk}/">{WATCH}</a>' in said
        testing.drain()
    job.refresh_from_db()
    assert (job.state, job.result["value"]["summary"]) == ("succeeded", "3 photometry points read")
    assert points() == 3


def test_the_link_leads_somewhere_on_the_next_page(logged_in, target, worker, large):
    with testing.waiting():
        upload(logged_in, target)
        page = logged_in.get(reverse("targets:list"), follow=True).content.decode()
    assert f'">{WATCH}</a>' in page


def test_the_job_may_begin_once_the_view_is_done(logged_in, target, worker, large):
    with testing.waiting():
        upload(logged_in, target)
    assert Job.objects.get().hold == ""


def test_it_is_held_until_then(rf, target, worker, large, monkeypatch):
    product = make_product(target)
    monkeypatch.setattr(uploads, "current_request", lambda: rf.get("/"))
    with testing.waiting():
        assert uploads.read_by_a_job(product, "photometry")
    assert Job.objects.get().hold == "until"


def test_every_other_type_is_read_by_a_job_whatever_its_size(target, worker, settings):
    settings.DATA_PROCESSORS = processors.deferring({"image_file": STOCK["photometry"]})
    with testing.waiting():
        assert uploads.read_by_a_job(make_product(target, data_type="image_file"), "image_file")


def test_the_job_reads_it_as_the_type_it_was_asked_to(target, worker, settings):
    from tom_dataproducts.data_processor import run_data_processor

    settings.DATA_PROCESSORS = processors.deferring({"atlas": STOCK["photometry"]})
    product = make_product(target, data_type="")
    with testing.waiting():
        assert run_data_processor(product, "atlas") == []
        testing.drain()
    assert Job.objects.get().state == "succeeded"


def test_switched_off_it_is_read_in_the_request(logged_in, target, worker, settings):
    settings.NIGHTSHIFT = {"READ_IN_REQUEST": 10, "BACKGROUND": {"uploads": False}}
    with testing.waiting():
        upload(logged_in, target)
    assert points() == 3


def test_under_test_it_is_read_in_the_request(logged_in, target, worker, large):
    upload(logged_in, target)
    assert points() == 3
    assert not Job.objects.exists()


def test_eager_it_goes_through_a_job_at_once(logged_in, target, large):
    with testing.eager():
        said = upload(logged_in, target)
    assert points() == 3
    assert Job.objects.get().state == "succeeded"
    assert "Read: see what it says" in said[0]


def test_without_a_worker_it_is_read_in_the_request_as_tom_toolkit_does(logged_in, target, large):
    with testing.waiting():
        said = upload(logged_in, target)
    assert points() == 3
    assert not Job.objects.exists()
    assert said == ["Successfully uploaded: m13/none/points.csv"]  # an astronomer can do nothing about it


def test_without_a_worker_a_bad_file_keeps_tom_toolkit_s_own_error(logged_in, target, large):
    with testing.waiting():
        said = upload(logged_in, target, content="this,is\nno,photometry\n")
    assert "There was a problem processing your file" in said[-1]
    assert not DataProduct.objects.exists()


def test_staff_are_told_once_that_there_is_no_worker(client, staff, target, large):
    client.force_login(staff)
    with testing.waiting():
        first, second = upload(client, target), upload(client, target, name="more.csv")
    warning = (
        "No worker is running, so points.csv was read while you waited. Start one with: manage.py nightshift"
    )
    assert warning in first
    assert not [words for words in second if "No worker" in words and "more.csv" in words]


def test_a_worker_that_died_a_moment_ago_is_waited_for(logged_in, target, worker, large):
    worker.release_lock()
    from tom_nightshift.ledger import presence

    presence._my_nonces.discard(worker.nonce)
    with testing.waiting():
        upload(logged_in, target)
    assert Job.objects.count() == 1


@pytest.mark.parametrize("table", ["tom_nightshift_worker", "tom_nightshift_job"])
def test_before_migrate_it_is_read_in_the_request(logged_in, target, worker, large, table):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO not_there_yet")
    with testing.waiting():
        said = upload(logged_in, target)
    assert points() == 3
    assert said == ["Successfully uploaded: m13/none/points.csv"]


def test_before_migrate_an_image_is_taken_in_all_the_same(logged_in, target, worker, extracting):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tom_nightshift_job RENAME TO not_there_yet")
    with testing.waiting():
        said = upload(logged_in, target, name="a.fits", content=b"x", data_type="fits_file")
    assert said == ["Successfully uploaded: m13/none/a.fits"]


def test_without_a_worker_an_image_waits_and_says_why(logged_in, target, extracting):
    with testing.waiting():
        said = upload(logged_in, target, name="a.fits", content=b"x", data_type="fits_file")
    job = Job.objects.get()
    assert job.state == "waiting"
    words = "a.fits waits to be searched for sources: background jobs are not being run"
    assert f'<a href="/nightshift/jobs/{job.pk}/">{words}</a>' in said


def test_a_tom_without_our_pages_takes_uploads_in_all_the_same(logged_in, target, worker, large, monkeypatch):
    from django.urls import NoReverseMatch

    def nowhere(*args, **kwargs):
        raise NoReverseMatch

    monkeypatch.setattr(uploads, "reverse", nowhere)
    with testing.waiting():
        assert WATCH in upload(logged_in, target)


def test_groups_get_their_rights_though_they_are_given_after_the_job_was_asked_for(
    logged_in, target, worker, large, by_object, pi, team
):
    with testing.waiting():
        upload(logged_in, target, groups=[team])
        testing.drain()
    for point in PhotometryReducedDatum.objects.all():
        assert list(get_groups_with_perms(point)) == [team]
        assert pi.has_perm("tom_dataproducts.view_photometryreduceddatum", point)


@pytest.mark.parametrize("mode", ["eager", "off"])
def test_groups_get_their_rights_where_jobs_run_at_once(
    logged_in, target, large, extracting, by_object, pi, team, mode
):
    """There the job is over before the view gives the groups theirs."""
    with modes.use(mode):
        upload(
            logged_in, target, name="a.fits", content=M13.read_bytes(), data_type="fits_file", groups=[team]
        )
    image, *made = DataProduct.objects.order_by("pk")
    assert made
    for product in made:
        assert list(get_groups_with_perms(product)) == list(get_groups_with_perms(image)) == [team]
        assert pi.has_perm("tom_dataproducts.delete_dataproduct", product)


def test_groups_get_their_rights_on_data_that_were_read_at_once(
    logged_in, target, large, by_object, pi, team
):
    with modes.use("eager"):
        upload(logged_in, target, groups=[team])
    assert points() == 3
    for point in PhotometryReducedDatum.objects.all():
        assert list(get_groups_with_perms(point)) == [team]
        assert pi.has_perm("tom_dataproducts.view_photometryreduceddatum", point)


def test_rest_gets_its_answer_and_the_job_its_owner(target, worker, large, pi):
    from django.core.files.uploadedfile import SimpleUploadedFile
    from rest_framework.authtoken.models import Token

    assign_perm("tom_targets.change_target", pi, target)
    caller = APIClient()
    caller.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.get_or_create(user=pi)[0].key}")
    with testing.waiting():
        answer = caller.post(
            "/api/dataproducts/",
            {
                "file": SimpleUploadedFile("points.csv", PHOTOMETRY.encode()),
                "target": target.pk,
                "data_product_type": "photometry",
            },
            format="multipart",
        )
    assert answer.status_code == 201, answer.content
    job = Job.objects.get()
    assert job.owner == pi
    assert [str(message) for message in answer.wsgi_request._messages] == []


def test_outside_a_request_it_works_without_a_message(worker, large, pi):
    with testing.waiting():
        assert uploads.read_by_a_job(make_product(make_target("M3", pi)), "photometry")
    assert Job.objects.get().hold == ""
