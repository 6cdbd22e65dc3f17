"""Lists read as much where there are thousands of jobs as where there are a few, whoever reads what."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from tests.support.many import Here
from tests.support.reading import read_by
from tom_nightshift.models import Job
from tom_nightshift.web import lists

pytestmark = pytest.mark.tom

MANY = 6000
LOOKS = (30, 300)
SHOWS = ("", "open", "done", "failed", "stopped")
STATES = ("waiting", "failed", "stopped", "succeeded")
SLACK = {"sqlite": 80, "postgresql": 4}
"""What one more job that is looked at may cost: steps, or rows."""


@pytest.fixture(autouse=True)
def looks(monkeypatch):
    """Fewer, so that thousands of rows are many."""
    monkeypatch.setattr(lists, "LOOKS", LOOKS)


@pytest.fixture
def reads(as_):
    """How much a page reads for somebody."""

    def reads(who, path):
        browser = as_(who)
        browser.get(path)  # what Django loads but once
        Here().analyze()
        with read_by(connection) as reading:
            response = browser.get(path)
        assert response.status_code == 200
        return reading.amount

    return reads


@pytest.fixture
def grown(make_job, target):
    """Some of each kind, and then thousands that are done, of which the owner asked for half."""
    for state in STATES:
        for _ in range(30):
            make_job(state, target_id=target.pk)

    def grow():
        Here().copy(make_job(target_id=target.pk), MANY // 2)
        Here().copy(make_job(owner=None), MANY // 2)

    return grow


@pytest.mark.parametrize("show", SHOWS)
@pytest.mark.parametrize("who", ["owner", "other", "boss"])
def test_no_list_reads_more_where_there_are_many(reads, grown, target, who, show):
    paths = [f"/nightshift/?show={show}{rest}" for rest in ("", "&whose=all", f"&target={target.pk}")]
    paths.append(f"/nightshift/targets/{target.pk}/")
    few = {path: reads(who, path) for path in paths}
    grown()
    allowed = 2 * sum(LOOKS) * SLACK[connection.vendor]
    for path in paths:
        assert reads(who, path) < few[path] * 1.2 + allowed, path


def test_a_few_that_one_may_see_are_found_among_all(as_, make_job, target):
    wanted = [make_job(title=f"number {number}.", target_id=target.pk) for number in range(3)]
    Here().copy(make_job(owner=None), 100)
    page = as_("other").get("/nightshift/?whose=all").content.decode()
    assert [job for job in wanted if job.title in page] == wanted
    assert "Look further back" not in page


def test_what_lies_further_back_is_a_link_away(as_, make_job, target):
    make_job(title="far back", target_id=target.pk)
    Here().copy(make_job(owner=None), sum(LOOKS))
    other = as_("other")
    page = other.get("/nightshift/?whose=all").content.decode()
    assert "None among the jobs that were looked at so far." in page
    link = re.search(r'href="\?(whose=all&amp;before=\d+)" rel="next">Look further back<', page)
    assert "far back" in other.get(f"/nightshift/?{link[1].replace('&amp;', '&')}").content.decode()


def test_a_page_goes_on_where_the_last_one_ended(as_, make_job, target):
    Here().copy(make_job(target_id=target.pk), 59)
    seen, path = [], "/nightshift/?whose=all"
    other = as_("other")
    while path:
        page = other.get(path).content.decode()
        seen += re.findall(r'class="nightshift-title" href="/nightshift/jobs/(\d+)/"', page)
        link = re.search(r'href="(\?[^"]+)" rel="next"', page)
        path = f"/nightshift/{link[1].replace('&amp;', '&')}" if link else ""
    assert [int(pk) for pk in seen] == list(Job.objects.newest_first().values_list("pk", flat=True))


@pytest.mark.parametrize("who", ["other", "boss"])
def test_a_part_whose_first_one_may_not_see_is_listed_and_other_parts_are_not(as_, make_job, target, who):
    hidden, first = make_job(title="Hidden"), make_job(title="First", target_id=target.pk)
    make_job(title="Alone", root=hidden.pk, target_id=target.pk)
    make_job(title="Part", root=first.pk, target_id=target.pk)
    page = as_(who).get("/nightshift/?whose=all").content.decode()
    listed = {title for title in ("Hidden", "First", "Alone", "Part") if f">{title}<" in page}
    assert listed == ({"First", "Alone"} if who == "other" else {"Hidden", "First"})
