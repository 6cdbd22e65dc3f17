"""The Jobs tab of a target: what is being done for it, and what can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from tom_nightshift.exceptions import NightshiftError
from tom_nightshift.models import Job
from tom_nightshift.web import access, pages
from tom_nightshift.web.guards import guarded, people_only
from tom_nightshift.web.jobrows import pace, rows
from tom_nightshift.web.lists import newest
from tom_nightshift.web.live import Live, Part, answer, stop
from tom_nightshift.web.offers import Choice, Offer, find_offer, offers

NEWEST = 20


@dataclass(frozen=True, slots=True)
class Form:
    """An offer as a form."""

    offer: Offer
    url: str
    choices: list[Choice]


@guarded
def target(request: HttpRequest, pk: int) -> HttpResponse:
    """The tab: as a fragment for htmx; as a page where there are no scripts; what is new, when it polls."""
    polls = "seen" in request.GET
    if not access.is_somebody(request.user):
        words = "Log in to see what is being done for this target."
        return stop(request, words) if polls else pages.notice(request, words)
    if not access.may_see_target(request.user, pk):
        words = "There is no such target, or it is not yours to see."
        return stop(request, words) if polls else pages.notice(request, words, status=404)
    context = _list(request, pk)
    if polls:
        return answer(request, "partials/list.html", context["live"], lambda: context)
    context |= {"forms": _forms(request.user, pk), "target_id": pk}
    if pages.is_htmx(request):
        return pages.fragment(request, "partials/target_jobs.html", context)
    return pages.page(request, "target.html", context)


@require_POST
@guarded
@people_only
def take_up(request: HttpRequest, pk: int, slug: str) -> HttpResponse:
    """Take up an offer; the new job's page is what follows."""
    offer = find_offer(slug)
    if offer is None or not access.may_see_target(request.user, pk):
        raise Http404("There is no such target or no such offer.")
    choice = offer.find(pk, request.user, request.POST.get("choice", ""))
    if choice is None:
        messages.error(request, "That can no longer be chosen.", fail_silently=True)
        return redirect("nightshift:target", pk)
    try:
        job_id = offer.ask(choice.key, request.user)
    except NightshiftError as refusal:
        messages.error(request, str(refusal), fail_silently=True)
        return redirect("nightshift:target", pk)
    return redirect("nightshift:job", job_id)


def _list(request: HttpRequest, pk: int) -> dict[str, Any]:
    visible = access.visible_jobs(request.user)
    found = newest(Job.objects.newest_of("target_id", pk), NEWEST, among=visible, firsts=True)
    listed = rows(found.jobs, request.user, subjects=False)
    return {
        "live": Live([Part("list", listed)], pace(found.jobs, listed)),
        "poll_url": reverse("nightshift:target", args=[pk]),
        "more": found.older is not None,
        "empty": "Nothing has been done for this target in the background yet.",
    }


def _forms(user: Any, pk: int) -> list[Form]:
    return [
        Form(offer, reverse("nightshift:offer", args=[pk, offer.slug]), list(offer.choices(pk, user)))
        for offer in offers()
    ]
