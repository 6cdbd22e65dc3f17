"""What a page that polls is told: 200, 204 or 286, and never anything else."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.web.conftest import HTMX
from tom_nightshift import testing
from tom_nightshift.models import Job, Log

pytestmark = pytest.mark.tom


def address(response) -> str:
    """The address at which a fragment asks again."""
    found = re.search(r'hx-get="([^"]+)"', response.content.decode())
    assert found
    return found[1].replace("&amp;", "&")


def looks(queries) -> list[str]:
    """The queries, without the savepoints that there are because a test is one transaction."""
    return [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]


def first_poll(client, job) -> str:
    page = client.get(job.get_absolute_url()).content.decode()
    found = re.search(r'id="nightshift-progress" hx-get="([^"]+)"', page)
    assert found
    return found[1]


def test_a_job_that_did_not_change_is_not_sent_again(as_, make_job):
    owner, job = as_("owner"), make_job("running")
    assert owner.get(first_poll(owner, job), **HTMX).status_code == 204


def test_what_changed_is_sent_and_nothing_else(as_, make_job):
    owner, job = as_("owner"), make_job("running")
    poll = first_poll(owner, job)
    Job.objects.filter(pk=job.pk).update(done=3, total=12, note="CCD 3 of 12")
    answer = owner.get(poll, **HTMX)
    assert answer.status_code == 200
    fragment = answer.content.decode()
    assert 'aria-valuenow="25"' in fragment
    assert "CCD 3 of 12" in fragment
    assert "hx-swap-oob" not in fragment
    assert owner.get(address(answer), **HTMX).status_code == 204


def test_new_lines_of_the_log_come_with_it(as_, make_job):
    owner, job = as_("owner"), make_job("running")
    poll = first_poll(owner, job)
    Log.objects.create(job=job, attempt=1, seq=0, text="12:00:00 reading\n")
    fragment = owner.get(poll, **HTMX).content.decode()
    assert '<section id="nightshift-log" hx-swap-oob="true">' in fragment
    assert "12:00:00 reading" in fragment


def test_the_end_is_sent_with_the_code_that_stops_the_polling(as_, make_job):
    owner, job = as_("owner"), make_job("running")
    poll = first_poll(owner, job)
    Job.objects.filter(pk=job.pk).update(state="succeeded", result={"value": "269 sources found."})
    answer = owner.get(poll, **HTMX)
    assert answer.status_code == 286
    assert "269 sources found." in answer.content.decode()
    assert "hx-get" not in answer.content.decode()
    assert '<div hx-swap-oob="innerHTML:#nightshift-sentence">' in answer.content.decode()


def test_a_job_that_is_gone_stops_the_polling(as_, make_job):
    owner, job = as_("owner"), make_job("running")
    poll = first_poll(owner, job)
    job.delete()
    assert owner.get(poll, **HTMX).status_code == 286


@pytest.mark.parametrize("who", ["", "other"])
def test_whoever_may_not_see_it_stops_polling(as_, make_job, who):
    owner, job = as_("owner"), make_job("running")
    assert as_(who).get(first_poll(owner, job), **HTMX).status_code == 286


def test_the_badge_counts_what_is_open(as_, make_job):
    owner = as_("owner")
    for state in ("running", "waiting", "succeeded", "failed"):
        make_job(state)
    answer = owner.get("/nightshift/poll/", **HTMX)
    assert answer.status_code == 200
    assert ">2<" in answer.content.decode()
    assert "every 1s" in answer.content.decode()
    assert owner.get(address(answer), **HTMX).status_code == 204


def test_the_badge_is_quiet_while_nothing_runs(as_, make_job):
    make_job("waiting")
    assert "every 10s" in as_("owner").get("/nightshift/poll/", **HTMX).content.decode()
    assert "badge rounded" not in as_("other").get("/nightshift/poll/", **HTMX).content.decode()


def test_the_badge_says_nothing_to_anonymous_visitors(as_, make_job):
    make_job("running")
    answer = as_("").get("/nightshift/poll/", **HTMX)
    assert (answer.status_code, answer.content) == (286, b"")


def test_the_badge_is_cheap(as_, make_job):
    owner = as_("owner")
    for _ in range(20):
        make_job("running")
    with CaptureQueriesContext(connection) as queries:
        owner.get("/nightshift/poll/", **HTMX)
    assert len(looks(queries)) <= 3, looks(queries)


def test_a_look_at_a_running_job_is_cheap(as_, make_job, target):
    owner, job = as_("owner"), make_job("running", target_id=target.pk)
    poll = first_poll(owner, job)
    with CaptureQueriesContext(connection) as queries:
        assert owner.get(poll, **HTMX).status_code == 204
    assert len(looks(queries)) <= 4, "\n".join(looks(queries))


def test_a_list_is_sent_only_when_it_changed(as_, make_job):
    owner, job = as_("owner"), make_job("running")
    page = owner.get("/nightshift/").content.decode()
    found = re.search(r'id="nightshift-list" class="nightshift" hx-get="([^"]+)"', page)
    assert found
    poll = found[1].replace("&amp;", "&")
    assert owner.get(poll, **HTMX).status_code == 204
    Job.objects.filter(pk=job.pk).update(done=1, total=2)
    answer = owner.get(poll, **HTMX)
    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()
    assert as_("").get(poll, **HTMX).status_code == 286


def test_nothing_polled_is_kept_by_caches(as_, make_job):
    owner, job = as_("owner"), make_job("running")
    for path in ("/nightshift/poll/", first_poll(owner, job), job.get_absolute_url()):
        assert "no-store" in owner.get(path)["Cache-Control"]


def test_without_a_worker_it_says_so_and_tells_staff_what_to_start(as_, make_job):
    job = make_job("waiting")
    with testing.waiting():
        owner = as_("owner").get(job.get_absolute_url()).content.decode()
        boss = as_("boss").get(job.get_absolute_url()).content.decode()
    assert "Background jobs are not being run" in owner
    assert "manage.py" not in owner
    assert "./manage.py nightshift" in boss
