"""No page of an astronomer speaks of queues, workers, leases and the like: those words are for staff."""

from __future__ import annotations

import html
import re

import pytest
from django.utils import timezone

from tom_nightshift import testing
from tom_nightshift.ledger import rescue
from tom_nightshift.ledger.outcomes import lost
from tom_nightshift.models import Attempt
from tom_nightshift.states import Hold, State
from tom_nightshift.web import words

pytestmark = pytest.mark.tom

OURS = re.compile(
    r"\b(queues?|workers?|lease|broker|parked|poison|heartbeat|attempts?|retr(y|ied)|thread)\b", re.I
)
AGREED = ("no worker here knows this task", "it crashed the worker 3 times")
"""What the design says in so many words."""

REASONS_TO_RETURN = (rescue.DIED, rescue.NO_THREAD, rescue.NO_WORKER, rescue.NO_REQUEST)
SET_ASIDE = lost(2, "again", "out of memory", alone=True, stop_requested=False)


def ours_in(page: str) -> list[str]:
    """Our words, among those that a reader of the page sees."""
    start = page.index('<div class="nightshift')
    seen = html.unescape(re.sub(r"<[^>]*>", " ", page[start : page.find("</main>", start)]))
    for phrase in AGREED:
        seen = seen.replace(phrase, " ")
    return [found[0] for found in OURS.finditer(seen)]


@pytest.fixture
def jobs_of_every_kind(make_job, target):
    later = {"reason": "later", "error": "waiting for ATLAS"}
    died = [lost(0, "again", "", alone=False, stop_requested=False).words, *REASONS_TO_RETURN]
    made = [make_job("waiting", target_id=target.pk, hold=str(hold)) for hold in Hold]
    made += [make_job("waiting", target_id=target.pk, attempt=1, losses=1, error=why) for why in died]
    made += [make_job("waiting", target_id=target.pk, attempt=1, snoozes=1, **later)]
    made += [make_job("running", target_id=target.pk, attempt=2, stop_requested=True, stop_stage=n)
             for n in (1, 2, 3)]  # fmt: skip
    made += [make_job(str(state), target_id=target.pk) for state in State if state != State.WAITING]
    made += [make_job("failed", target_id=target.pk, reason=SET_ASIDE.reason, error=SET_ASIDE.words)]
    return made


def test_lists_and_pages_of_jobs_use_the_readers_words(as_, jobs_of_every_kind, target):
    owner = as_("owner")
    pages = [job.get_absolute_url() for job in jobs_of_every_kind]
    with testing.waiting():  # and no worker is alive
        for path in ("/nightshift/", "/nightshift/?whose=all", f"/nightshift/targets/{target.pk}/", *pages):
            assert ours_in(owner.get(path).content.decode()) == [], path


def test_tries_use_the_readers_words(as_, make_job):
    job = make_job("failed", attempt=40, reason="task", error="it does not answer")
    endings = [*words._ENDED_AS, *("lost" for _ in REASONS_TO_RETURN)]
    why = ["" for _ in words._ENDED_AS] + list(REASONS_TO_RETURN)
    for number, (outcome, error) in enumerate(zip(endings, why, strict=True), start=1):
        Attempt.objects.create(
            job=job, number=number, outcome=outcome, error=error, worker="pc-7", finished_at=timezone.now()
        )
    page = as_("owner").get(job.get_absolute_url()).content.decode()
    assert rescue.DIED in page
    assert ours_in(page) == []


def test_staff_do_read_them(as_, make_job):
    job = make_job("waiting")
    with testing.waiting():
        page = as_("boss").get(job.get_absolute_url()).content.decode()
    assert {word.lower() for word in ours_in(page)} == {"queue", "worker"}
