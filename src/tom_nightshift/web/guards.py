"""What stands before every view: the tables are there, and somebody is logged in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.db import DatabaseError, connections, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.cache import never_cache

from tom_nightshift.ledger.session import jobs_alias
from tom_nightshift.models import Job, JobQuerySet
from tom_nightshift.web import pages
from tom_nightshift.web.access import is_somebody, is_staff, visible_jobs

View = Callable[..., HttpResponseBase]


def guarded(view: View) -> View:
    """For every page: nobody keeps a copy of it, and without our tables it answers with a sentence."""
    guarded_view: View = never_cache(private_file(view))
    return guarded_view


def private_file(view: View) -> View:
    """For what a reader's own browser may keep: without our tables it answers with a sentence."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            with undone_alone():
                return view(request, *args, **kwargs)
        except DatabaseError:
            if tables_are_there():
                raise
            return _not_set_up(request)

    return wrapped


def people_only(view: View) -> View:
    """For pages: whoever is not logged in is asked to."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_somebody(request.user):
            return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")
        return view(request, *args, **kwargs)

    return wrapped


def find_job(request: HttpRequest, job_id: int) -> Job:
    """The job, if this user may know of it.

    Raises:
        Http404: it is not there, or not for this user: the answer does not tell which.
    """
    # One's own first: what else one may see takes TOM Toolkit several looks, and a page asks every second.
    mine = Job.objects.filter(owner=request.user.pk)
    found: Job | None = _one(mine, job_id) or _one(visible_jobs(request.user), job_id)
    if found is None:
        raise Http404("There is no such job, or it is not yours to see.")
    return found


def tables_are_there() -> bool:
    """Whether Nightshift's tables have been made."""
    connection = connections[jobs_alias()]
    return Job._meta.db_table in connection.introspection.table_names()


def undone_alone() -> AbstractContextManager[Any]:
    """Within ATOMIC_REQUESTS a failed read would spoil the page's transaction: it gets a savepoint.

    Outside a transaction there is none: on SQLite it would take the write lock for every look at a page.
    """
    alias = jobs_alias()
    return transaction.atomic(using=alias) if connections[alias].in_atomic_block else nullcontext()


def _one(jobs: JobQuerySet, job_id: int) -> Job | None:
    found: Job | None = jobs.select_related("owner").with_company().filter(pk=job_id).first()
    return found


def _not_set_up(request: HttpRequest) -> HttpResponse:
    words = "Background jobs are not set up on this site yet."
    if is_staff(request.user):
        words = "Background jobs need their tables in the database: run ./manage.py migrate."
    return pages.notice(request, words, status=503)
