"""Pages that move: parts of a page, each with a version, and the one answer to a page that polls.

A page polls one address and says in it which versions it shows (``?seen=…``). Nothing new is answered
with 204, which htmx does not swap; what is new with 200; the last of it with 286, which ends the polling.
Never 302 or 403, which a TOM turns into a leap to another page, nor 304, which browsers turn into a 200.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse

from tom_nightshift.web import pages

FAST, SLOW = 1, 10
"""Seconds between two looks: while something runs, and otherwise."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a page: the element ``nightshift-<name>``."""

    name: str
    data: Any
    """Plain data, of which ``repr`` tells all that the part shows."""

    inner: bool = False
    """Whether the element stays and only its content is replaced: a screen reader listens to it."""

    @property
    def template(self) -> str:
        """The template of its content."""
        return f"tom_nightshift/job/{self.name}.html"

    @property
    def version(self) -> str:
        """Changes when what the part shows does."""
        told = f"{self.name} {self.data!r}"
        return f"{zlib.crc32(told.encode()):08x}"


@dataclass(frozen=True, slots=True)
class Live:
    """The parts of a page; the first is the element that polls."""

    parts: Sequence[Part]
    seconds: int
    """Until the next look; 0: nothing will change any more."""

    @property
    def seen(self) -> str:
        """The versions of all parts."""
        return "-".join(part.version for part in self.parts)

    def fresh(self, seen: str) -> list[Part]:
        """The parts that a page showing these versions lacks; the first comes with every answer anyhow."""
        known = set(seen.split("-"))
        return [part for part in self.parts[1:] if part.version not in known]

    def __getitem__(self, name: str) -> Part:
        """A part by its name; templates ask so."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)


def answer(
    request: HttpRequest, template: str, live: Live, context: Callable[[], dict[str, Any]] = dict
) -> HttpResponse:
    """What a polling page is told.

    Parameters:
        context: what the template needs besides; asked for only if there is something new.
    """
    seen = request.GET.get("seen", "")
    if seen == live.seen and live.seconds:
        return HttpResponse(status=204)
    status = 200 if live.seconds else pages.STOP_POLLING
    return pages.fragment(
        request, template, context() | {"live": live, "fresh": live.fresh(seen)}, status=status
    )


def stop(request: HttpRequest, words: str = "") -> HttpResponse:
    """Tell a page that there is nothing more to ask for; without words it keeps what it shows."""
    if words:
        return pages.fragment(request, "partials/notice.html", {"words": words}, status=pages.STOP_POLLING)
    response = HttpResponse(status=pages.STOP_POLLING)
    response["HX-Reswap"] = "none"
    return response
