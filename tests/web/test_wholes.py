"""Jobs that belong together on pages: one line in the lists, all of them on the page of each."""

from __future__ import annotations

import re

import dramatiq
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.web.conftest import HTMX
from tom_nightshift import group, testing
from tom_nightshift.models import Job

pytestmark = pytest.mark.tom


@pytest.fixture(scope="module", autouse=True)
def more_tasks():
    """A task that fails while it is told to, and one that comes last."""

    @dramatiq.actor(actor_name="wholes_reduce", title="Reduce {frame}")
    def reduce(frame, *_):
        if frame == "bad":
            raise ValueError
        return 1

    @dramatiq.actor(actor_name="wholes_combine", title="Combine")
    def combine(*_): ...


@pytest.fixture
def reduce():
    return dramatiq.get_broker().get_actor("wholes_reduce")


@pytest.fixture
def combine():
    return dramatiq.get_broker().get_actor("wholes_combine")


@pytest.fixture
def ask(people):
    """Ask for messages as the owner, without running them."""

    def ask(children, *, last=None, title="Reduce the frames of M13"):
        mine = [child.copy(options={"owner": people["owner"]}) for child in children]
        whole = group(mine, title=title)
        if last is not None:
            whole.add_completion_callback(last)
        with testing.waiting():
            whole.run()
        return Job.objects.filter(owner=people["owner"]).earliest("id")

    return ask


def text_of(client, address):
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_a_list_has_one_line_for_all_of_it(as_, ask, reduce):
    first = ask([reduce.message(f"frame {number}") for number in range(6)] + [reduce.message("bad")])
    testing.drain()
    page = text_of(as_("owner"), "/nightshift/")
    assert page.count("Reduce ") == page.count("Reduce the frames of M13") == 1
    assert "6 of 7 done, 1 failed" in page
    assert re.search(r'class="badge [\w-]+">failed<', page)  # the first of them is done
    assert f'href="{first.get_absolute_url()}"' in page


def test_each_of_those_that_failed_is_found(as_, ask, reduce):
    ask([reduce.message("good"), reduce.message("bad")])
    testing.drain()
    page = text_of(as_("owner"), "/nightshift/?show=failed")
    assert "Reduce bad" in page
    assert "part 2 of 2" in page


def test_the_page_of_each_shows_all_of_it(as_, ask, reduce, combine):
    first = ask([reduce.message("a"), reduce.message("b"), reduce.message("bad")], last=combine.message())
    testing.drain()
    for job in Job.objects.all():
        page = text_of(as_("owner"), job.get_absolute_url())
        assert "Reduce the frames of M13" in page
        assert "2 of 3 done, 1 failed" in page
        assert "Combine" in page
        assert "It waits until every part is done: run again what was not." in page
    assert 'aria-valuenow="100"' in text_of(as_("owner"), first.get_absolute_url())


def test_steps_are_numbered_and_those_to_come_are_named(as_, people, reduce, combine):
    line = dramatiq.pipeline([reduce.message("a"), reduce.message("bad"), combine.message()])
    line.messages[0].options["owner"] = people["owner"]
    with testing.waiting():
        line.run()
    job = Job.objects.get()
    assert job.owner == people["owner"]
    page = text_of(as_("owner"), job.get_absolute_url())
    assert "0 of 3 steps done" in page
    assert page.index("Reduce a") < page.index("Reduce bad") < page.index("Combine")
    testing.drain()
    page = text_of(as_("owner"), job.get_absolute_url())
    assert "1 of 3 steps done, 1 failed" in page
    assert "It does not run, as the step before it did not succeed." in page
    listed = text_of(as_("owner"), "/nightshift/")
    assert "1 of 3 steps done, 1 failed" in listed
    assert "Reduce a, and 2 more steps" in listed


def test_what_has_no_place_shows_nothing_of_it(as_, make_job):
    page = text_of(as_("owner"), make_job().get_absolute_url())
    assert "nightshift-members" not in page
    assert "What it asked for" not in page


def test_what_a_job_asked_for_stands_on_its_page(as_, make_job):
    asker = make_job()
    make_job(title="Find m31.fits", parent=asker.pk, root=asker.pk)
    page = text_of(as_("owner"), asker.get_absolute_url())
    assert "What it asked for" in page
    assert "Find m31.fits" in page
    assert "Find m31.fits" not in text_of(as_("owner"), "/nightshift/")
    assert "Find m31.fits" in text_of(as_("owner"), "/nightshift/?show=done")


def test_a_target_lists_a_part_whose_first_is_about_another(as_, make_job, target):
    first = make_job(title="Elsewhere")
    make_job(title="Here", root=first.pk, target_id=target.pk)
    make_job(title="There", root=Job.objects.get(title="Here").pk, target_id=target.pk)
    page = text_of(as_("owner"), f"/nightshift/targets/{target.pk}/")
    assert "Here" in page
    assert "There" not in page


def test_a_part_that_others_may_not_see_is_counted_and_not_named(as_, ask, reduce, target):
    first = ask([reduce.message("a"), reduce.message("private")])
    Job.objects.filter(pk=first.pk).update(target_id=target.pk)
    page = text_of(as_("other"), first.get_absolute_url())
    assert "0 of 2 done" in page
    assert "Reduce private" not in page
    assert "Stop all of it" not in page


def test_stop_all_of_it(as_, ask, reduce):
    first = ask([reduce.message("a"), reduce.message("b")])
    owner = as_("owner")
    assert "Stop all of it" in text_of(owner, first.get_absolute_url())
    stop = reverse("nightshift:stop-whole", args=[first.pk])
    page = owner.post(stop, follow=True).content.decode()
    assert "2 jobs stopped, or asked to stop." in page
    assert set(Job.objects.values_list("state", flat=True)) == {"stopped"}
    assert "Stop all of it" not in page
    assert as_("other").post(stop).status_code == 404
    assert owner.get(stop).status_code == 405


def test_a_job_alone_has_no_whole_to_stop(as_, make_job):
    stop = reverse("nightshift:stop-whole", args=[make_job("waiting").pk])
    assert "login" in as_("owner").post(stop)["Location"]  # a TOM's way to say 403
    assert Job.objects.get().state == "waiting"


def test_run_again_on_a_part_stays_in_the_whole(as_, ask, reduce):
    first = ask([reduce.message("a"), reduce.message("bad")])
    testing.drain()
    with testing.waiting():
        as_("owner").post(reverse("nightshift:again", args=[Job.objects.get(state="failed").pk]))
    again = Job.objects.latest("id")
    assert (again.place.whole, again.place.part) == (first.pk, 2)
    assert "1 of 2 done" in text_of(as_("owner"), again.get_absolute_url())


class TestMany:
    MANY = 300

    @pytest.fixture
    def first(self, ask, reduce):
        return ask([reduce.message(f"frame {number}") for number in range(self.MANY)])

    def test_the_page_stays_light(self, as_, first):
        last = Job.objects.latest("id")
        Job.objects.filter(pk=last.pk).update(state="failed")
        owner = as_("owner")
        with CaptureQueriesContext(connection) as queries:
            page = text_of(owner, first.get_absolute_url())
        assert len(page) < 150_000
        assert len(queries) < 30
        assert f'href="{last.get_absolute_url()}"' in page  # what failed is here, however many there are
        assert f"All {self.MANY} of them" in page
        listed = text_of(owner, f"/nightshift/?whole={first.pk}")
        assert "Jobs that belong together" in listed
        assert ">Older<" in listed

    def test_the_page_polls_until_all_of_it_is_over(self, as_, first):
        Job.objects.filter(pk=first.pk).update(state="succeeded")
        live = reverse("nightshift:job-live", args=[first.pk])
        owner = as_("owner")
        assert owner.get(live, **HTMX).status_code == 200
        Job.objects.update(state="succeeded")
        assert owner.get(live, **HTMX).status_code == 286

    def test_a_list_asks_for_all_lines_at_once(self, as_, ask, reduce, make_job):
        owner = as_("owner")
        text_of(owner, "/nightshift/")
        for _ in range(2):
            ask([reduce.message("a"), reduce.message("b")])
        with CaptureQueriesContext(connection) as few:
            text_of(owner, "/nightshift/")
        for _ in range(8):
            ask([reduce.message("a"), reduce.message("b")])
        with CaptureQueriesContext(connection) as many:
            assert text_of(owner, "/nightshift/").count("0 of 2 done") == 20
        assert len(many) == len(few)


@pytest.mark.parametrize("rest", ["?show=done", "?whole={first}", "?whole={first}&show=done"])
def test_where_each_is_listed_the_first_is_a_job_like_the_others(as_, ask, reduce, rest):
    first = ask([reduce.message("good"), reduce.message("bad")])
    testing.drain()
    page = text_of(as_("owner"), f"/nightshift/{rest.format(first=first.pk)}")
    assert ">Reduce good<" in page
    assert "part 1 of 2" in page
    assert "Reduce the frames of M13" not in page


def test_the_bar_of_a_whole_tells_what_is_done_from_what_failed(as_, ask, reduce):
    first = ask([reduce.message("good") for _ in range(3)] + [reduce.message("bad")])
    testing.drain()
    for address in ("/nightshift/", first.get_absolute_url()):
        page = text_of(as_("owner"), address)
        assert re.search(r'class="nightshift-bar-done" width="75%"', page)
        assert re.search(r'class="nightshift-bar-bad" x="75%" width="25%"', page)
