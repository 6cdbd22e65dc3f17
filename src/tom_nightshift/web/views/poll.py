"""The badge in the navigation: how many of my jobs are not over. Every open page asks: one cheap look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from tom_nightshift.models import Job
from tom_nightshift.states import State
from tom_nightshift.web.access import is_somebody
from tom_nightshift.web.guards import tables_are_there, undone_alone
from tom_nightshift.web.live import FAST, SLOW, Live, Part, answer, stop


@dataclass(frozen=True, slots=True)
class Mine:
    """What the badge says."""

    open: int
    running: int


@never_cache
def poll(request: HttpRequest) -> HttpResponse:
    """The badge; nothing for whoever is not logged in, nor before our tables are made."""
    if not is_somebody(request.user):
        return stop(request)
    try:
        with undone_alone():
            mine = _count(request.user)
    except DatabaseError:  # the badge is on every page: whatever is wrong, it does not say so
        return HttpResponse(status=204) if tables_are_there() else stop(request)
    shown = Live([Part("badge", mine)], FAST if mine.running else SLOW)
    return answer(request, "partials/badge.html", shown)


def _count(user: Any) -> Mine:
    found = Job.objects.owned_by(user).open().order_by().values_list("state").annotate(Count("pk"))
    counts: dict[str, int] = dict(found)
    return Mine(sum(counts.values()), counts.get(State.RUNNING, 0))
