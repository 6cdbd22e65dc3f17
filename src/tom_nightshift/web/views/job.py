"""The page of one job, and what is new on it."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from tom_nightshift.models import Job
from tom_nightshift.states import State
from tom_nightshift.web import access, logtext, pages, words
from tom_nightshift.web.arguments import shown_arguments
from tom_nightshift.web.guards import find_job, guarded, people_only
from tom_nightshift.web.jobparts import live_page
from tom_nightshift.web.jobrows import owner_name
from tom_nightshift.web.live import Live, answer, stop


@guarded
@people_only
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    """The whole page."""
    found = find_job(request, job_id)
    shown = live_page(found, request.user)
    return pages.page(request, "job.html", _parts_context(request, found, shown) | _around(request, found))


@guarded
def live(request: HttpRequest, job_id: int) -> HttpResponse:
    """What is new on it."""
    if not access.is_somebody(request.user):
        return stop(request, "You are no longer logged in. Log in to go on watching.")
    try:
        found = find_job(request, job_id)
    except Http404:
        return stop(request, "This job is no longer there.")
    shown = live_page(found, request.user)
    return answer(request, "job/live.html", shown, lambda: _parts_context(request, found, shown))


def _parts_context(request: HttpRequest, found: Job, shown: Live) -> dict[str, Any]:
    details = access.may_see_details(request.user, found)
    return {
        "job": found,
        "live": shown,
        "details": details,
        "staff": access.is_staff(request.user),
        "log_end": logtext.end_of(found) if details else None,
        "elapsed": _elapsed(found),
        "elapsed_words": words.duration(_elapsed(found)),
        "worker_words": words.NO_WORKER,
        "worker_command": words.WORKER_COMMAND,
    }


def _elapsed(found: Job) -> float | None:
    """Seconds since this try began."""
    if found.state != State.RUNNING or found.claimed_at is None:
        return None
    return max(0.0, (timezone.now() - found.claimed_at).total_seconds())


def _around(request: HttpRequest, found: Job) -> dict[str, Any]:
    """What does not change while the job runs."""
    details = access.may_see_details(request.user, found)
    return {
        "subject": access.subject_link(found, request.user),
        "owner": owner_name(found, request.user),
        "asked": words.moment(found.created_at),
        "origin": _visible_origin(request, found),
        "arguments": shown_arguments(found) if details else [],
    }


def _visible_origin(request: HttpRequest, found: Job) -> Job | None:
    """The job that this one runs again."""
    if found.origin is None:
        return None
    origin: Job | None = access.visible_jobs(request.user).filter(pk=found.origin).only("pk").first()
    return origin
