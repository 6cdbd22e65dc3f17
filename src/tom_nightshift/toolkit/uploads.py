"""Where an upload is read: by a job, or in the request exactly as TOM Toolkit does it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.contrib import messages
from django.db import DatabaseError, connections, transaction
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from dramatiq import Actor

from tom_nightshift import events, modes
from tom_nightshift.conf import get_settings
from tom_nightshift.ledger import presence
from tom_nightshift.ledger.session import Sql, jobs_alias
from tom_nightshift.ledger.speaking import current_job
from tom_nightshift.models import Job
from tom_nightshift.toolkit import extraction, products
from tom_nightshift.toolkit.tasks import process_upload
from tom_nightshift.web.request import begin_after_view, current_request, do_after_view

SMALL_ONES_AT_ONCE = ("photometry", "spectroscopy")
"""Types that TOM Toolkit reads, or refuses with an error, in milliseconds while they are small."""

UNTIL_THE_VIEW_IS_DONE = 60.0
"""Seconds that a job asked for in a view waits should the web process die before the view is done."""

TOLD_AGAIN_AFTER = 3600.0
"""Seconds before the same person is told once more that no worker is running."""


def read_by_a_job(product: Any, data_type: str) -> bool:
    """Ask for the job that reads an upload. False: it is to be read here and now.

    Parameters:
        product: the data product.
        data_type: the type that it is to be read as.
    """
    if current_job() is not None or not modes.in_background("uploads") or _is_small(product, data_type):
        return False
    name = product.get_file_name()
    if not _somebody_will_do_it():
        _warn_staff(f"No worker is running, so {name} was read while you waited.")
        events.upload_in_request(name)
        return False
    try:
        job_id = ask(process_upload, product, f"Read {name}", data_type=data_type)
    except DatabaseError as error:
        _warn_staff(f"The job for {name} could not be written, so it was read while you waited.")
        events.registration_refused(f"{name} was read in the request: {events.first_line(error)}")
        return False
    _say_where(job_id)
    return True


def find_sources(product: Any) -> None:
    """Ask for the sources in an image. TOM Toolkit does nothing like it: without a worker it waits."""
    try:
        job_id = ask(extraction.task(), product, f"Find sources in {product.get_file_name()}")
    except DatabaseError as error:
        _warn_staff("The upload is safe, but the search for sources could not be asked for.")
        events.registration_refused(f"no search for sources in {product}: {events.first_line(error)}")
        return
    if _somebody_will_do_it():
        _say_where(job_id)
    else:
        _say_that_it_waits(product.get_file_name(), job_id)


def ask(task: Actor[Any, Any], product: Any, title: str, *, owner: Any = None, **arguments: Any) -> int:
    """Ask for a job about a data product; in a view it begins once that is done. The job's id."""
    # In a view the groups' rights are given, or the product is taken away again, after this.
    delay = int(UNTIL_THE_VIEW_IS_DONE * 1000) if current_request() is not None else None
    with _undone_alone():
        message = task.send_with_options(
            args=(product.pk,), kwargs=arguments, delay=delay, subject=product, owner=owner, title=title
        )
    rows = Job.objects.using(jobs_alias()).filter(message_id=message.message_id)
    job_id, owner_id = rows.values_list("pk", "owner_id").get()
    begin_after_view(job_id)
    if modes.runs_here():  # it is over, and the groups have their rights only once the view is done
        do_after_view(lambda: products.pass_rights_on(product.pk, owner_id))
    return int(job_id)


def _is_small(product: Any, data_type: str) -> bool:
    if data_type not in SMALL_ONES_AT_ONCE:
        return False
    try:
        return bool(product.data.size <= get_settings().read_in_request)
    except (OSError, ValueError):  # there is no file: TOM Toolkit says so better
        return True


def _somebody_will_do_it() -> bool:
    """Whether a worker is alive, or was a minute ago; also False where our tables are not there yet."""
    if modes.runs_here():
        return True
    try:
        with _undone_alone():
            sql = Sql(connections[jobs_alias()])
            return presence.anybody_alive(sql) or any(
                worker.silent < get_settings().lease for worker in presence.neighbours(sql, but="")
            )
    except DatabaseError:
        return False


def _undone_alone() -> AbstractContextManager[Any]:
    """A statement that fails must not spoil a transaction of the caller's; outside one, no lock is taken."""
    alias = jobs_alias()
    return transaction.atomic(using=alias) if connections[alias].in_atomic_block else nullcontext()


def _say_where(job_id: int) -> None:
    request = _page()
    if request is not None and modes.mode() != "off":
        words = "Read: see what it says" if modes.runs_here() else "Being read in the background: watch it"
        messages.info(request, _link(job_id, words))


def _say_that_it_waits(name: str, job_id: int) -> None:
    request = _page()
    if request is not None:
        words = f"{name} waits to be searched for sources: background jobs are not being run"
        messages.warning(request, _link(job_id, words))
    _warn_staff("No worker is running.")


def _warn_staff(words: str) -> None:
    """Say it to staff on their next page; once an hour, not on every file of a batch."""
    request = _page()
    user = getattr(request, "user", None)
    if request is None or user is None or not (user.is_staff or user.is_superuser):
        return
    told = request.session.get("nightshift_no_worker_told", 0)
    if time.time() - told > TOLD_AGAIN_AFTER:
        request.session["nightshift_no_worker_told"] = time.time()
        messages.warning(request, f"{words} Start one with: manage.py nightshift")


def _page() -> Any:
    """The request, where its answer is a page for a person: not of the REST interface, and with messages."""
    request = current_request()
    if request is None or not hasattr(request, "_messages") or not hasattr(request, "session"):
        return None
    view = getattr(getattr(request, "resolver_match", None), "func", None)
    return None if hasattr(getattr(view, "cls", None), "authentication_classes") else request


def _link(job_id: int, words: str) -> str:
    """The words, leading to the job's page; in a TOM that does not take our addresses in, only the words."""
    try:
        return format_html('<a href="{}">{}</a>', reverse("nightshift:job", args=[job_id]), words)
    except NoReverseMatch:
        return words
