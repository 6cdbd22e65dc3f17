"""What the pages say, how heavy they are, and that they survive whatever a task says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dramatiq
import pytest
from django.db import connection
from django.utils import timezone

import tom_nightshift
from tests.support.carriers import in_memory
from tests.web.conftest import HTMX, encoded
from tom_nightshift import testing
from tom_nightshift.ledger import carrying
from tom_nightshift.ledger.presence import Presence
from tom_nightshift.ledger.session import callers_transaction
from tom_nightshift.models import Attempt, Job, Limit, Log
from tom_nightshift.web import offers
from tom_nightshift.web.offers import Choice, Offer

pytestmark = pytest.mark.tom

NOON = datetime(2099, 1, 1, 12, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"
LIGHT = 150_000


def page_of(client, job):
    response = client.get(job.get_absolute_url())
    assert response.status_code == 200
    return response.content.decode()


def test_what_a_task_says_is_never_markup(as_, make_job, target):
    table = {"columns": [{"name": EVIL, "unit": EVIL, "title": EVIL}], "rows": [[EVIL]], "caption": EVIL}
    value = {"summary": EVIL, "facts": {EVIL: EVIL}, "remarks": [EVIL], "table": table}
    made = [{"url": "javascript:alert(1)", "label": EVIL}, {"url": "//evil.example", "label": "elsewhere"}]
    job = make_job(
        "failed",
        title=EVIL,
        error=EVIL,
        reason="task",
        target_id=target.pk,
        stages=[{"name": EVIL, "done": True}],
        result={"value": value, "made": made, "warnings": [EVIL]},
    )
    Log.objects.create(job=job, attempt=1, seq=0, text=EVIL)
    Attempt.objects.create(job=job, number=1, outcome="failed", finished_at=timezone.now(), traceback=EVIL)
    owner = as_("owner")
    for path in (job.get_absolute_url(), f"{job.get_absolute_url()}live/", "/nightshift/",
                 f"/nightshift/targets/{target.pk}/"):  # fmt: skip
        text = owner.get(path).content.decode()
        assert EVIL not in text
        assert 'href="javascript:' not in text
        assert 'href="//evil' not in text


def test_pages_bear_an_owner_and_a_kind_of_subject_that_are_gone(as_, make_job, target):
    """As they are after somebody was deleted while Nightshift was taken out of the TOM."""
    job = make_job(target_id=target.pk, subject_id=1, message=encoded("pages_find", name="m13.fits"))
    Job.objects.filter(pk=job.pk).update(owner_id=987_654, subject_type_id=987_654)
    boss = as_("boss")
    for path in ("/nightshift/?whose=all", job.get_absolute_url(), f"{job.get_absolute_url()}live/",
                 f"/nightshift/targets/{target.pk}/", "/nightshift/poll/"):  # fmt: skip
        answer = boss.get(path)
        assert answer.status_code in (200, 286), path
        assert "started by" not in answer.content.decode()
    assert as_("other").get(job.get_absolute_url()).status_code == 200
    assert Job.objects.get(pk=job.pk).owner_or_none is None
    assert boss.post(f"{job.get_absolute_url()}again/").status_code == 302
    assert Job.objects.latest("id").origin == job.pk


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "waiting"}, "Waiting to start on this server."),
        ({"state": "waiting", "hold": "parked"}, "It cannot start: no worker here knows this task."),
        ({"state": "waiting", "hold": "paused"}, "Waiting: staff have paused jobs like this one"),
        (
            {"state": "waiting", "hold": "limit", "limit_key": "ATLAS"},
            "Waiting for ATLAS: it may begin at any moment.",
        ),
        (
            {"state": "waiting", "hold": "rate", "rate_key": "pages_find"},
            "Waiting for others of its kind: at most 1 a minute, the next may begin at any moment.",
        ),
        ({"state": "waiting", "hold": "until", "reason": "later", "error": "waiting for ATLAS",
          "run_at": NOON},
         "Waiting for ATLAS, next look 2099-01-01 12:00 UTC."),
        ({"state": "waiting", "attempt": 3, "snoozes": 3, "reason": "later", "error": "waiting for ATLAS"},
         "Waiting for ATLAS, next look at any moment."),
        ({"state": "running", "attempt": 4, "snoozes": 3}, "Running since"),
        ({"state": "running"}, "Running since"),
        ({"state": "running", "attempt": 2}, "this is its 2nd try"),
        ({"state": "succeeded"}, "Done at"),
        ({"state": "warned"}, "Done, with warnings, at"),
        ({"state": "failed", "reason": "poison", "error": "set aside: it crashed the worker 3 times"},
         "Set aside: it crashed the worker 3 times"),
        ({"state": "stopped", "error": "the upload was withdrawn"}, "the upload was withdrawn"),
        ({"state": "lost"}, "we do not know whether it finished"),
        ({"state": "expired"}, "too old when its turn came"),
    ],
)  # fmt: skip
def test_every_state_has_its_words(as_, make_job, fields, words):
    assert words in page_of(as_("owner"), make_job(**fields))


def test_a_job_that_waits_for_its_next_try_says_why_and_when(as_, make_job):
    later = timezone.now() + timedelta(hours=1)
    job = make_job(
        "waiting", hold="until", run_at=later, attempt=1, failures=1, error="ATLAS does not answer"
    )
    Attempt.objects.create(
        job=job, number=1, outcome="retried", finished_at=timezone.now(), error="ATLAS does not answer"
    )
    page = page_of(as_("owner"), job)
    assert "Waiting for its 2nd try, not before" in page
    assert "ATLAS does not answer" in page


def test_my_jobs_says_that_a_job_is_paused(as_, make_job):
    make_job("waiting", hold="paused")
    assert "waiting: paused by staff" in as_("owner").get("/nightshift/").content.decode()


def test_looks_that_put_a_job_off_are_no_tries(as_, make_job):
    job = make_job("failed", attempt=4, snoozes=2, failures=1, reason="task", error="it does not answer")
    for number, outcome in enumerate(["later", "retried", "later", "failed"], start=1):
        Attempt.objects.create(job=job, number=number, outcome=outcome, finished_at=timezone.now())
    page = page_of(as_("owner"), job)
    assert "1st try" in page
    assert "2nd try" in page
    assert "3rd try" not in page
    assert "put off" not in page


ODD_TABLE = {"columns": ["a"], "rows": [1, [2, 3], []]}


@pytest.mark.parametrize(
    "value",
    [None, 3, "done", [1, 2], {"facts": 3, "table": 4}, {"table": {"columns": 1}}, {"table": ODD_TABLE}],
)
def test_whatever_a_task_returned_can_be_shown(as_, make_job, value):
    page_of(as_("owner"), make_job(result={"value": value}))


def test_the_page_of_a_job_is_light(as_, make_job, target):
    columns = [
        {"name": f"column {n}", "unit": "arcsec", "title": "what it is, in a sentence"} for n in range(14)
    ]
    rows = [[123456.789012] * 14 for _ in range(300)]
    value = {"summary": "s" * 300, "facts": {str(n): "f" * 80 for n in range(20)},
             "table": {"columns": columns, "rows": rows, "total": 60_000}}  # fmt: skip
    job = make_job(
        target_id=target.pk, result={"value": value}, stages=[{"name": "s" * 60, "done": True}] * 200
    )
    for seq in range(50):
        Log.objects.create(job=job, attempt=1, seq=seq, text=("x" * 99 + "\n") * 50)
    page = page_of(as_("owner"), job)
    ours = Path(tom_nightshift.__file__).parent / "static"
    files = sum(file.stat().st_size for file in ours.rglob("*.*"))
    assert len(page.encode()) + files < LIGHT
    assert "plotly" not in page
    assert "The first 25 of 60,000 rows." in page


def test_a_table_whose_caption_says_which_rows_they_are_does_not_say_it_twice(as_, make_job):
    table = {
        "columns": ["x"],
        "rows": [[1]] * 15,
        "total": 5764,
        "caption": "The 15 brightest of 5,764 sources",
    }
    page = page_of(as_("owner"), make_job(result={"value": {"summary": "found", "table": table}}))
    assert "The 15 brightest of 5,764 sources" in page
    assert "The first" not in page


def test_no_step_done_is_not_worth_a_line(as_, make_job):
    stages = [{"name": "read the file", "done": False}]
    assert "steps done" not in page_of(as_("owner"), make_job("failed", error="x", stages=stages))
    stages[0]["done"] = True
    assert "1 step done" in page_of(as_("owner"), make_job("failed", error="x", stages=stages))


@pytest.mark.parametrize("value", ["16 sources found", {"summary": "16 sources found", "facts": {}}])
def test_lists_say_what_a_job_brought(as_, make_job, target, value):
    make_job(target_id=target.pk, result={"value": value})
    make_job("warned", target_id=target.pk, result={"value": {"summary": 3}})
    make_job(target_id=target.pk, result=None)
    for path in ("/nightshift/", f"/nightshift/targets/{target.pk}/"):
        assert as_("owner").get(path).content.decode().count("16 sources found") == 1


def test_lists_say_why_a_job_waits_while_no_worker_is_alive(as_, make_job, target):
    for fields in ({}, {}, {"hold": "paused"}):
        make_job("waiting", target_id=target.pk, **fields)
    make_job(target_id=target.pk)
    words = "Background jobs are not being run"
    owner = as_("owner")
    for path in ("/nightshift/", f"/nightshift/targets/{target.pk}/"):
        with testing.waiting():
            assert owner.get(path).content.decode().count(words) == 2
    presence = Presence(1)
    with callers_transaction() as sql:
        presence.register(sql, ["default"])
    try:
        with testing.waiting():
            assert words not in owner.get("/nightshift/").content.decode()
    finally:
        presence.release_lock()


def test_pages_say_that_jobs_are_not_carried_and_to_staff_what_to_do(as_, make_job, monkeypatch):
    carried = in_memory()
    monkeypatch.setattr(dramatiq, "get_broker", lambda: carried)
    monkeypatch.setattr(carrying, "STILL", -1.0)
    job, presence = make_job("waiting"), Presence(1)
    with callers_transaction() as sql:
        presence.register(sql, ["default"])
    try:
        with testing.waiting():
            page = page_of(as_("owner"), job)
            assert "Background jobs are not being run" in page
            assert "doctor" not in page
            assert "do not reach what carries the jobs" in page_of(as_("staff"), job)
            with callers_transaction() as sql:
                carrying.publish(sql, ["default"], "one")
            assert "Background jobs are not being run" not in page_of(as_("owner"), job)
    finally:
        presence.release_lock()


def test_no_page_of_ours_needs_more_than_a_strict_policy_allows(as_, make_job):
    page = page_of(as_("owner"), make_job("running", done=1, total=2))
    ours = page.split('<div class="nightshift nightshift-page">')[1].split("</main>")[0]
    assert " style=" not in ours
    assert " onclick=" not in ours
    assert "<script" not in ours


def test_the_navigation_leads_to_my_jobs(as_, make_job):
    page = as_("owner").get("/").content.decode()
    assert 'href="/nightshift/"' in page
    assert 'hx-get="/nightshift/poll/"' in page
    assert "nightshift-badge" not in as_("").get("/").content.decode()


def test_our_script_and_style_are_there_once(as_, make_job):
    owner = as_("owner")
    for path in ("/", make_job().get_absolute_url()):
        assert owner.get(path).content.decode().count("nightshift.js") == 1


def test_files_that_were_not_collected_break_no_page(as_, settings):
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "tests.web.test_pages.NothingCollected"},
    }
    assert as_("owner").get("/").status_code == 200


def test_before_migrate_every_page_answers(as_, make_job, target):
    job, owner, boss = make_job(), as_("owner"), as_("boss")
    owner.get("/")  # so that the session is there
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tom_nightshift_job RENAME TO not_yet_migrated")
    assert owner.get("/").status_code == 200
    assert owner.get("/nightshift/poll/", **HTMX).status_code == 286
    assert as_("").get("/nightshift/poll/", **HTMX).status_code == 286
    assert owner.get(f"/nightshift/targets/{target.pk}/", **HTMX).status_code == 286
    for path in ("/nightshift/", job.get_absolute_url(), "/nightshift/?whose=all"):
        assert owner.get(path).status_code == 503
        assert "./manage.py migrate" in boss.get(path).content.decode()
        assert "./manage.py migrate" not in owner.get(path).content.decode()


def test_filters_and_pages_of_my_jobs(as_, make_job):
    for number in range(30):
        make_job("failed" if number % 2 else "succeeded", title=f"number {number:02d}.")
    owner = as_("owner")
    first = owner.get("/nightshift/").content.decode()
    assert "number 29." in first
    assert "Newest" not in first
    older = re.search(r'href="(\?before=\d+)" rel="next">Older<', first)
    second = owner.get(f"/nightshift/{older[1]}").content.decode()
    assert [number for number in range(30) if f"number {number:02d}." in second] == [0, 1, 2, 3, 4]
    assert 'rel="next"' not in second
    assert 'href="?">Newest<' in second
    failed = owner.get("/nightshift/?show=failed").content.decode()
    assert "number 29." in failed
    assert "number 28." not in failed
    for nonsense in (
        "?before=x",
        "?show=x",
        "?target=x",
        "?target=99999999999999999999",
        "?whose=x",
        "?before=-1",
        "?before=1",
    ):
        assert owner.get(f"/nightshift/{nonsense}").status_code == 200


class TestTargetTab:
    """The Jobs tab of a target."""

    def test_is_a_fragment_for_htmx_and_a_page_without(self, as_, make_job, target):
        make_job(target_id=target.pk)
        address = f"/nightshift/targets/{target.pk}/"
        fragment = as_("owner").get(address, **HTMX).content.decode()
        page = as_("owner").get(address).content.decode()
        assert "Find m13.fits" in fragment
        assert "<html" not in fragment
        assert "<html" in page
        assert f"/targets/{target.pk}/?tab=jobs" in page

    def test_says_nothing_to_whoever_may_not_see_the_target(self, as_, make_job, target):
        make_job(target_id=target.pk)
        for who in ("", "staff"):
            answer = as_(who).get(f"/nightshift/targets/{target.pk}/", **HTMX)
            assert answer.status_code == 286
            assert "Find m13.fits" not in answer.content.decode()

    def test_stands_on_the_target_page_and_loads_itself(self, as_, target):
        page = as_("owner").get(f"/targets/{target.pk}/").content.decode()
        assert 'id="jobs-tab"' in page
        assert f'hx-get="/nightshift/targets/{target.pk}/" hx-trigger="intersect once"' in page

    def test_offers_are_taken_up(self, as_, make_job, target, offered):
        job = make_job()
        offered.append(job.pk)
        page = as_("owner").get(f"/nightshift/targets/{target.pk}/", **HTMX).content.decode()
        assert '<option value="7">m13.fits</option>' in page
        address = f"/nightshift/targets/{target.pk}/offers/for-tests/"
        assert as_("owner").post(address, {"choice": "7"})["Location"] == job.get_absolute_url()
        assert as_("owner").post(address, {"choice": "8"})["Location"] == f"/nightshift/targets/{target.pk}/"
        assert as_("owner").get(address).status_code == 405
        assert as_("staff").post(address, {"choice": "7"}).status_code == 404
        assert as_("owner").post(address.replace("for-tests", "nothing"), {"choice": "7"}).status_code == 404

    @pytest.fixture
    def offered(self, monkeypatch):
        jobs: list[int] = []
        monkeypatch.setattr(offers, "_offers", {})
        offers.offer(
            Offer(
                slug="for-tests",
                label="Find sources",
                help_text="Finds them.",
                title_none="No image here.",
                choices=lambda target_id, user: [Choice(7, "m13.fits")],
                ask=lambda key, user: jobs[0],
            )
        )
        return jobs


class NothingCollected:
    """A storage of static files as a manifest storage is before collectstatic."""

    def url(self, name: str) -> str:
        if name.startswith("tom_nightshift/"):
            raise ValueError(f"Missing staticfiles manifest entry for {name!r}")
        return f"/static/{name}"


def test_a_job_that_waits_for_its_turn_says_how_many_have_it_before(as_, make_job):
    Limit.objects.create(kind="limit", key="ATLAS", template="ATLAS", number=2, used_at=timezone.now())
    for _ in range(2):
        make_job("running", limit_key="ATLAS")
    job = make_job("waiting", hold="limit", limit_key="ATLAS")
    assert "Waiting for ATLAS: 2 of 2 in use." in as_("owner").get(job.get_absolute_url()).content.decode()
    assert "waiting for its turn" in as_("owner").get("/nightshift/").content.decode()


def test_one_that_waits_for_its_rate_says_when_the_next_may_begin(as_, make_job):
    now = timezone.now()
    Limit.objects.create(
        kind="rate", key="ATLAS", template="ATLAS", number=10, period=86_400,
        recent=f"[[{now.timestamp()}, 10]]", used_at=now,
    )  # fmt: skip
    job = make_job("waiting", hold="rate", rate_key="ATLAS")
    page = as_("owner").get(job.get_absolute_url()).content.decode()
    tomorrow = f"{now + timedelta(days=1):%Y-%m-%d %H:%M} UTC"
    assert f"Waiting for ATLAS: at most 10 a day, the next may begin at {tomorrow}." in page
