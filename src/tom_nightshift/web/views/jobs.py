"""My jobs, and lists of others' that I may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse

from tom_nightshift.models import Job, JobQuerySet
from tom_nightshift.states import ENDED_BADLY, State
from tom_nightshift.web import access, pages
from tom_nightshift.web.guards import guarded, people_only
from tom_nightshift.web.jobrows import pace, rows
from tom_nightshift.web.lists import Found, newest
from tom_nightshift.web.live import Live, Part, answer, stop

PER_PAGE = 25

SHOWS = {
    "": ("All", list(State)),
    "open": ("Waiting or running", [State.WAITING, State.RUNNING]),
    "done": ("Done", [State.SUCCEEDED, State.WARNED]),
    "failed": ("Failed", [State.FAILED, State.LOST]),
    "stopped": ("Stopped", [State.STOPPED, State.EXPIRED]),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A link that chooses which jobs are listed."""

    label: str
    query: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs are asked for."""

    show: str = ""
    whose: str = ""
    target: int | None = None
    whole: int | None = None
    before: int | None = None
    """Only jobs older than this one."""

    @classmethod
    def read(cls, request: HttpRequest) -> Wanted:
        """From the address; what makes no sense there is left out."""
        show = request.GET.get("show", "")
        return cls(
            show=show if show in SHOWS else "",
            whose="all" if request.GET.get("whose") == "all" else "",
            target=_number(request.GET.get("target", "")),
            whole=_number(request.GET.get("whole", "")),
            before=_number(request.GET.get("before", "")),
        )

    @property
    def is_mine(self) -> bool:
        """Whether only the reader's own are asked for."""
        return self.is_of_all_targets and not self.whose

    @property
    def is_of_each(self) -> bool:
        """Whether each job is asked for; else the first stands for all that belong to it."""
        return bool(self.show) or self.whole is not None

    @property
    def is_of_all_targets(self) -> bool:
        """Whether jobs of any kind are asked for, about anything."""
        return self.target is None and self.whole is None

    def query(self, **changed: Any) -> str:
        """The query part of an address for the first page of this, or of this with something changed."""
        values = {"show": self.show, "whose": self.whose, "target": self.target, "whole": self.whole}
        return urlencode({key: value for key, value in (values | changed).items() if value})


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@guarded
def jobs(request: HttpRequest) -> HttpResponse:
    """The list; with ``seen`` in the address, what is new in it."""
    if "seen" in request.GET and not access.is_somebody(request.user):
        return stop(request, "You are no longer logged in.")
    response = _list(request)
    assert isinstance(response, HttpResponse)
    return response


@people_only
def _list(request: HttpRequest) -> HttpResponse:
    wanted = Wanted.read(request)
    found = _find(request.user, wanted)
    listed = rows(found.jobs, request.user, owners=not wanted.is_mine, apart=wanted.is_of_each)
    shown = Live([Part("list", listed)], pace(found.jobs, listed))
    context = {
        "live": shown,
        "poll_url": request.path,
        "poll_query": wanted.query(before=wanted.before),
        "empty": _empty(wanted, found),
    }
    if "seen" in request.GET:
        return answer(request, "partials/list.html", shown, lambda: context)
    return pages.page(request, "jobs.html", context | _around(request, wanted, found))


def _find(user: Any, wanted: Wanted) -> Found:
    candidates, among = _within(user, wanted)
    firsts = not wanted.is_of_each
    if firsts and among is None and wanted.is_of_all_targets:  # an index has them
        candidates, firsts = candidates.firsts(), False
    if wanted.show:
        states = SHOWS[wanted.show][1]
        candidates = _narrowed(candidates, states) if wanted.is_of_all_targets else candidates
        among = (Job.objects.all() if among is None else among).filter(state__in=states)
    return newest(candidates, PER_PAGE, before=wanted.before, among=among, firsts=firsts)


def _within(user: Any, wanted: Wanted) -> tuple[JobQuerySet, JobQuerySet | None]:
    """The jobs that an index has, and which of them are to be seen; None: all."""
    if wanted.is_mine:
        return Job.objects.newest_of("owner_id", user.pk), None
    among = None if access.sees_all(user) else access.visible_jobs(user)
    found = Job.objects.newest_first()
    if wanted.whole is not None:
        return found.filter(place__whole=wanted.whole), among
    return found if wanted.target is None else Job.objects.newest_of("target_id", wanted.target), among


def _narrowed(candidates: JobQuerySet, states: Collection[State]) -> JobQuerySet:
    """Where the states are those of few jobs, an index has these alone."""
    if State.WAITING in states:
        return candidates.open()
    return candidates.ended_badly() if set(states) <= set(ENDED_BADLY) else candidates


def _around(request: HttpRequest, wanted: Wanted, found: Found) -> dict[str, Any]:
    return {
        "title": _title(wanted),
        "target_id": wanted.target,
        "choices": [Choice(SHOWS[show][0], wanted.query(show=show), show == wanted.show) for show in SHOWS],
        "others": _others(wanted) if wanted.is_of_all_targets else None,
        "is_first": wanted.before is None,
        "newest": wanted.query(),
        "older": wanted.query(before=found.older) if found.older is not None else "",
        "is_partial": found.is_partial,
    }


def _title(wanted: Wanted) -> str:
    if wanted.whole is not None:
        return "Jobs that belong together"
    if wanted.target is not None:
        return "Jobs of this target"
    return "All jobs that I may see" if wanted.whose else "My jobs"


def _others(wanted: Wanted) -> Choice:
    if wanted.whose:
        return Choice("Only my own", wanted.query(whose=""), chosen=False)
    return Choice("Also those of others that I may see", wanted.query(whose="all"), chosen=False)


def _empty(wanted: Wanted, found: Found) -> str:
    if found.is_partial:
        return "None among the jobs that were looked at so far."
    if wanted.before is not None:
        return "There is nothing older."
    if wanted.show:
        return "No job of this kind."
    if wanted.target is not None:
        return "Nothing has been done for this target in the background yet."
    return "Nothing here yet. What this site does for you in the background will be listed here."
