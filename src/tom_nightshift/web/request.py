"""The request that jobs are asked for in: who is behind it, and what is to happen once its view is done.

Appended to ``MIDDLEWARE`` at start-up; a TOM need not name it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse

from tom_nightshift import events
from tom_nightshift.ledger import asking, bell, moves
from tom_nightshift.ledger.session import callers_transaction

Deed = Callable[[], None]

_request: ContextVar[HttpRequest | None] = ContextVar("nightshift_request", default=None)
_held: ContextVar[list[int] | None] = ContextVar("nightshift_held_until_view_is_done", default=None)
_afterwards: ContextVar[list[Deed] | None] = ContextVar("nightshift_done_once_view_is_done", default=None)


class RequestMiddleware:
    """Makes the request known to whoever asks for a job in it, and lets those jobs begin once the view is
    done.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        tokens = (
            _request.set(request),
            _held.set([]),
            _afterwards.set([]),
            asking.asker.set(lambda: getattr(request, "user", None)),
        )
        try:
            response = self.get_response(request)
            _let_begin(_held.get() or [])
            _do(_afterwards.get() or [])
            return response
        finally:
            _request.reset(tokens[0])
            _held.reset(tokens[1])
            _afterwards.reset(tokens[2])
            asking.asker.reset(tokens[3])


def current_request() -> HttpRequest | None:
    """The request that the calling thread is answering; None outside one."""
    return _request.get()


def begin_after_view(job_id: int) -> bool:
    """Let a job that was asked for with a short delay begin as soon as the view is done; False outside a
    request.

    A view goes on after it has asked for a job: TOM Toolkit's upload gives the groups their rights then.
    Should the web process die first, the delay releases the job.
    """
    held = _held.get()
    if held is not None:
        held.append(job_id)
    return held is not None


def do_after_view(deed: Deed) -> None:
    """Do something once the view is done; outside a request nothing comes after, and nothing is done."""
    afterwards = _afterwards.get()
    if afterwards is not None:
        afterwards.append(deed)


def _let_begin(job_ids: list[int]) -> None:
    if not job_ids:
        return
    try:
        with callers_transaction() as sql:
            moves.release(sql, job_ids)
            bell.ring_on_commit()
    except DatabaseError as error:  # their delay releases them
        events.registration_refused(f"jobs {job_ids} begin a little later: {events.first_line(error)}")


def _do(deeds: list[Deed]) -> None:
    for deed in deeds:
        try:
            deed()
        except DatabaseError as error:  # what the view did is done: its answer stands
            events.registration_refused(f"after a view: {events.first_line(error)}")


def user_of(request: HttpRequest | None) -> Any:
    """The logged-in user of a request, or None."""
    user = getattr(request, "user", None)
    return user if user is not None and user.is_authenticated else None
