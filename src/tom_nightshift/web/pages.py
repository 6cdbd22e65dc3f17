"""How a page of ours is put together: inside the TOM's own frame, or in a plain one where there is no TOM."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

STOP_POLLING = 286
"""What htmx takes for: show this, and do not ask again."""


def page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """A whole page."""
    in_tom = apps.is_installed("tom_common")
    frame = {
        "nightshift_parent": "tom_common/base.html" if in_tom else "tom_nightshift/standalone.html",
        "nightshift_assets": True,
    }
    return render(request, f"tom_nightshift/{template}", frame | context, status=status)


def fragment(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """A part of a page, for htmx."""
    response = render(request, f"tom_nightshift/{template}", context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def notice(request: HttpRequest, words: str, status: int = 200) -> HttpResponse:
    """A sentence in place of a page or, with a status that htmx shows and stops at, of a fragment."""
    if is_htmx(request):
        return fragment(request, "partials/notice.html", {"words": words}, status=STOP_POLLING)
    return page(request, "notice.html", {"words": words}, status=status)


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of a page, rather than a browser for a whole one."""
    return request.headers.get("HX-Request") == "true"
