"""Stop and Run again."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests.web.conftest import encoded
from tom_nightshift import testing
from tom_nightshift.models import Job

pytestmark = pytest.mark.tom


def post(client, name, job, **more):
    return client.post(reverse(f"nightshift:{name}", args=[job.pk]), **more)


def test_a_waiting_job_stops_at_once(as_, make_job):
    job = make_job("waiting")
    response = post(as_("owner"), "stop", job, follow=True)
    job.refresh_from_db()
    assert (job.state, job.stop_by) == ("stopped", "owner")
    assert "Stopped by you" in response.content.decode()


def test_a_running_job_is_asked(as_, make_job):
    job = make_job("running")
    page = post(as_("owner"), "stop", job, follow=True).content.decode()
    job.refresh_from_db()
    assert (job.state, job.stop_requested) == ("running", True)
    assert "Asked to stop by you: it ends at its next step, or is interrupted at " in page
    assert 'id="nightshift-stop"' not in page


def test_run_again_makes_a_new_row_that_names_the_old_one(as_, make_job):
    job = make_job("failed")
    with testing.waiting():
        response = post(as_("owner"), "again", job)
    new = Job.objects.exclude(pk=job.pk).get()
    assert (new.origin, new.state, new.owner, new.task) == (job.pk, "waiting", job.owner, job.task)
    assert response["Location"] == new.get_absolute_url()
    assert "runs an earlier job again" in as_("owner").get(new.get_absolute_url()).content.decode()


def test_staff_may_run_it_again_and_become_its_owner(as_, make_job, people):
    job = make_job("failed")
    with testing.waiting():
        post(as_("boss"), "again", job)
    assert Job.objects.get(origin=job.pk).owner == people["boss"]


@pytest.mark.parametrize("name", ["stop", "again"])
@pytest.mark.parametrize("who", ["other", ""])
def test_others_may_do_nothing(as_, make_job, target, name, who):
    job = make_job("waiting" if name == "stop" else "failed", target_id=target.pk)
    response = post(as_(who), name, job)
    assert "login" in response["Location"]  # a TOM's way to say 403
    job.refresh_from_db()
    assert job.state in ("waiting", "failed")
    assert Job.objects.count() == 1


@pytest.mark.parametrize("name", ["stop", "again"])
def test_actions_are_posted(as_, make_job, name):
    assert as_("owner").get(reverse(f"nightshift:{name}", args=[make_job("failed").pk])).status_code == 405


def test_actions_need_the_token_of_the_form(make_job, people):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(people["owner"])
    job = make_job("waiting")
    post(client, "stop", job)
    job.refresh_from_db()
    assert job.state == "waiting"


def test_a_task_that_must_not_be_repeated_is_not(as_, make_job):
    job = make_job("failed", task="pages_once")
    assert "Run again" not in as_("owner").get(job.get_absolute_url()).content.decode()
    post(as_("owner"), "again", job)
    assert Job.objects.count() == 1


def test_a_job_that_is_not_over_is_not_run_again(as_, make_job):
    job = make_job("running")
    assert "Run again" not in as_("owner").get(job.get_absolute_url()).content.decode()
    post(as_("owner"), "again", job)
    assert Job.objects.count() == 1


def test_arguments_that_no_longer_fit_are_said(as_, make_job):
    job = make_job("failed", message=encoded("pages_find", gone=1))
    with testing.waiting():
        page = post(as_("owner"), "again", job, follow=True).content.decode()
    assert "It cannot be run again" in page
    assert Job.objects.count() == 1


def test_run_again_of_what_somebody_else_has_started_stays_here(as_, make_job, people):
    job, under_way = make_job("failed", task="pages_unique"), make_job("waiting", owner=people["other"])
    Job.objects.filter(pk=under_way.pk).update(unique_key="pages")
    response = post(as_("owner"), "again", job, follow=True)
    assert response.redirect_chain[-1][0] == job.get_absolute_url()
    assert "The same is under way already" in response.content.decode()
    assert Job.objects.count() == 2
