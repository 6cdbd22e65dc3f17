"""What can be done with a job from its page."""

from __future__ import annotations

import dramatiq
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from tom_nightshift.exceptions import ArgumentsRefused
from tom_nightshift.ledger import moves, wholes
from tom_nightshift.ledger.enqueue import ask_again
from tom_nightshift.ledger.session import callers_transaction
from tom_nightshift.models import Job, Place
from tom_nightshift.states import State
from tom_nightshift.web import access
from tom_nightshift.web.guards import find_job, guarded, people_only
from tom_nightshift.web.jobparts import may_repeat

UNDER_WAY = "The same is under way already: somebody else has started it."

_STOPPED = {
    State.STOPPED: "Stopped before it began.",
    State.RUNNING: "Asked to stop; it ends at its next step.",
    None: "It had ended already.",
}


@require_POST
@guarded
@people_only
def stop(request: HttpRequest, job_id: int) -> HttpResponse:
    """Stop a job: at once while it waits; a running one is asked to."""
    found = find_job(request, job_id)
    if not access.may_act(request.user, found):
        raise PermissionDenied
    with callers_transaction() as sql:
        moved = moves.stop(sql, found.pk, request.user.get_username())
    messages.info(request, _STOPPED[moved], fail_silently=True)
    return redirect(found)


@require_POST
@guarded
@people_only
def stop_whole(request: HttpRequest, job_id: int) -> HttpResponse:
    """Stop all jobs of the whole that this one belongs to."""
    found = find_job(request, job_id)
    place = Place.objects.filter(job=found.pk).first()
    if place is None or not access.may_act(request.user, found):
        raise PermissionDenied
    with callers_transaction() as sql:
        stopped = wholes.stop(sql, place.whole, request.user.get_username())
    words = (
        f"{stopped} job{'s' if stopped != 1 else ''} stopped, or asked to stop."
        if stopped
        else _STOPPED[None]
    )
    messages.info(request, words, fail_silently=True)
    return redirect(found)


@require_POST
@guarded
@people_only
def again(request: HttpRequest, job_id: int) -> HttpResponse:
    """Run a job again: a new one, which names the one it repeats, or the one that is open and has its key."""
    found = find_job(request, job_id)
    if not may_repeat(request.user, found):
        raise PermissionDenied
    try:
        message = ask_again(
            dramatiq.get_broker(),
            bytes(found.message),
            owner=request.user,
            origin=found.pk,
            subject=found.subject_or_none,
            root=found.root or found.pk,
        )
    except ArgumentsRefused as refusal:
        messages.error(request, f"It cannot be run again: {refusal}", fail_silently=True)
        return redirect(found)
    return _to_the_job(request, message.message_id, found)


def _to_the_job(request: HttpRequest, message_id: str, found: Job) -> HttpResponse:
    """Of a task with ``unique`` it may be another's, which this reader may not know of."""
    job = access.visible_jobs(request.user).filter(message_id=message_id).first()
    if job is None:
        messages.info(request, UNDER_WAY, fail_silently=True)
    return redirect(job or found)
