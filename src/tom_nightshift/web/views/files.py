"""Files of a job: its pictures, and its log as text."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from tom_nightshift.models import Picture
from tom_nightshift.web import access, logtext
from tom_nightshift.web.guards import find_job, guarded, people_only, private_file

SAFE_TYPES = frozenset({"image/png", "image/jpeg"})
KEEP = 3600
"""Seconds for which the reader's own browser may keep a picture: it never changes, rights may."""


@require_safe
@private_file
@people_only
def picture(request: HttpRequest, job_id: int, pk: int) -> HttpResponse:
    """A picture, for whoever may see the job."""
    found = get_object_or_404(Picture, job=find_job(request, job_id), pk=pk)
    kind = found.content_type if found.content_type in SAFE_TYPES else "application/octet-stream"
    response = HttpResponse(bytes(found.data), content_type=kind)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'"
    patch_cache_control(response, private=True, max_age=KEEP)
    return response


@require_safe
@guarded
@people_only
def log(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """The whole log."""
    found = find_job(request, job_id)
    if not access.may_see_details(request.user, found):
        raise PermissionDenied
    response = StreamingHttpResponse(logtext.whole(found), content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    return response
