"""My jobs, and lists of others' that I may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse

from tom_nightshift.models import Job, JobQuerySet
from tom_nightshift.states import State
from tom_nightshift.web import access, pages
from tom_nightshift.web.guards import guarded, people_only
from tom_nightshift.web.jobrows import pace, rows
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

    @classmethod
    def read(cls, request: HttpRequest) -> Wanted:
        """From the address; what makes no sense there is left out."""
        show = request.GET.get("show", "")
        return cls(
            show=show if show in SHOWS else "",
            whose="all" if request.GET.get("whose") == "all" else "",
            target=_number(request.GET.get("target", "")),
            whole=_number(request.GET.get("whole", "")),
        )

    @property
    def is_mine(self) -> bool:
        """Whether only the reader's own are asked for."""
        return self.target is None and self.whole is None and not self.whose

    def query(self, **changed: Any) -> str:
        """The query part of an address for this, or for this with something changed."""
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
    found = Paginator(_find(request.user, wanted), PER_PAGE).get_page(request.GET.get("page"))
    on_page = list(found)
    listed = rows(on_page, request.user, owners=not wanted.is_mine)
    shown = Live([Part("list", listed)], pace(on_page, listed))
    context = {
        "live": shown,
        "poll_url": request.path,
        "poll_query": wanted.query(page=found.number),
        "empty": _empty(wanted),
    }
    if "seen" in request.GET:
        return answer(request, "partials/list.html", shown, lambda: context)
    return pages.page(request, "jobs.html", context | _around(request, wanted, found))


def _find(user: Any, wanted: Wanted) -> JobQuerySet:
    found: JobQuerySet = Job.objects.owned_by(user) if wanted.is_mine else access.visible_jobs(user)
    if wanted.target is not None:
        found = found.on_target(wanted.target)
    if wanted.whole is not None:
        found = found.filter(place__whole=wanted.whole)
    if wanted.show:
        found = found.filter(state__in=SHOWS[wanted.show][1])
    elif wanted.whole is None:
        found = found.firsts() if wanted.is_mine else found.firsts_among(found)
    return found.select_related("owner").defer("message", "saved", "stages").newest_first()


def _around(request: HttpRequest, wanted: Wanted, found: Page[Job]) -> dict[str, Any]:
    return {
        "title": _title(wanted),
        "target_id": wanted.target,
        "choices": [Choice(SHOWS[show][0], wanted.query(show=show), show == wanted.show) for show in SHOWS],
        "others": None if wanted.target is not None or wanted.whole is not None else _others(wanted),
        "page": found,
        "newer": wanted.query(page=found.previous_page_number()) if found.has_previous() else "",
        "older": wanted.query(page=found.next_page_number()) if found.has_next() else "",
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


def _empty(wanted: Wanted) -> str:
    if wanted.show:
        return "No job of this kind."
    if wanted.target is not None:
        return "Nothing has been done for this target in the background yet."
    return "Nothing here yet. What this site does for you in the background will be listed here."
