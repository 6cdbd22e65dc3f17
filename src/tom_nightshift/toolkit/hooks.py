"""Everything that is put into a TOM at start-up; ``apps.py`` calls ``connect()`` where there is TOM Toolkit.

Each part is put in on its own, and one that the TOM refuses is left out with a line in the log: a TOM never
fails to start because of Nightshift.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.apps import apps

from tom_nightshift import events
from tom_nightshift.conf import django_setting, get_settings, replace_django_setting
from tom_nightshift.ledger import asking
from tom_nightshift.toolkit import extraction
from tom_nightshift.web.access import set_rules
from tom_nightshift.web.offers import offer

MIDDLEWARE = "tom_nightshift.web.request.RequestMiddleware"


def connect() -> None:
    """Put in all there is."""
    for part in (_checks, _middleware, _subjects, _rules, _tasks, _buttons, _processors):
        _guarded(part)


def _guarded(part: Callable[[], None]) -> None:
    try:
        part()
    except Exception as error:  # noqa: BLE001 - whatever it is, the TOM starts
        words = (part.__doc__ or part.__name__).strip().rstrip(".")
        events.registration_refused(f"Nightshift goes without this: {words}: {events.first_line(error)}")


def _checks() -> None:
    """What manage.py check says."""
    import_module("tom_nightshift.checks")


def _middleware() -> None:
    """Knowing the request in which a job is asked for."""
    there = django_setting("MIDDLEWARE", [])
    if MIDDLEWARE not in there:
        replace_django_setting("MIDDLEWARE", [*there, MIDDLEWARE])


def _subjects() -> None:
    """What jobs are about."""
    asking.name_subject("target_id", lambda: _model("tom_targets.BaseTarget"))
    asking.name_subject("observation_id", lambda: _model("tom_observations.ObservationRecord"))
    asking.name_subject("dataproduct_id", lambda: _model("tom_dataproducts.DataProduct"))
    asking.find_target_by(target_of)


def target_of(subject: Any) -> int | None:
    """The target that something belongs to; a custom target's row has the key of its ``BaseTarget``."""
    if isinstance(subject, _model("tom_targets.BaseTarget")):
        return int(subject.pk)
    kinds = "tom_dataproducts.DataProduct", "tom_observations.ObservationRecord"
    belongs = any(isinstance(subject, _model(kind)) for kind in kinds)
    return int(subject.target_id) if belongs else None


def _model(name: str) -> Any:
    return apps.get_model(name)


def _rules() -> None:
    """Who may see jobs."""
    set_rules(import_module("tom_nightshift.toolkit.rules").ToolkitRules())


def _tasks() -> None:
    """The tasks: declared in web processes and workers alike."""
    import_module("tom_nightshift.toolkit.tasks")
    if extraction.is_possible():
        extraction.task()


def _buttons() -> None:
    """The buttons on a target's Jobs tab."""
    if extraction.is_possible():
        extraction.task()
        offer(import_module("tom_nightshift.toolkit.buttons").FIND_SOURCES)


def _processors() -> None:
    """Reading uploads in the background."""
    processors = import_module("tom_nightshift.toolkit.processors")
    there = django_setting("DATA_PROCESSORS", {})
    wanted = processors.deferring(there)
    if get_settings().extract_on_upload and extraction.is_possible() and "fits_file" not in there:
        extraction.task()
        wanted["fits_file"] = processors.SOURCE_EXTRACTION
    if wanted:
        replace_django_setting("DATA_PROCESSORS", wanted)
