"""The tasks of this site: they can be loaded, go to our broker, and have options that agree."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import dramatiq
from django.apps import apps
from django.utils.module_loading import module_has_submodule
from dramatiq import Actor

from tom_nightshift import events, stack
from tom_nightshift.broker.rows import RowBroker
from tom_nightshift.doctor.findings import Finding, fault, fine, warning


def can_be_loaded() -> Iterator[Finding]:
    """``tasks.py`` of every app can be imported: a worker cannot start without."""
    broken = list(_broken_modules())
    yield from broken
    if not broken:
        yield fine(f"{len(dramatiq.get_broker().actors)} are known to this site.")


def go_to_our_broker() -> Iterator[Finding]:
    """Dramatiq's broker is ours and whole, and no task is bound to another."""
    broker = dramatiq.get_broker()
    if not isinstance(broker, RowBroker):
        yield fault(
            "broker-replaced",
            f"Dramatiq's broker is {type(broker).__name__}, not Nightshift's: jobs go elsewhere.",
            "Take out what calls dramatiq.set_broker, or 'django_dramatiq' from INSTALLED_APPS.",
        )
        return
    there = {type(part) for part in broker.middleware}
    missing = [type(part).__name__ for part in stack.middleware() if type(part) not in there]
    if missing:
        yield fault(
            "middleware-missing",
            f"the broker has lost {', '.join(missing)}.",
            "Take out what changes broker.middleware.",
        )
    strangers = sorted(actor.actor_name for actor in _declared() if actor.broker is not broker)
    if strangers:
        yield fault(
            "task-of-another-broker",
            f"these tasks are bound to another broker, and their jobs go there: {', '.join(strangers)}.",
            "Put 'tom_nightshift' first in INSTALLED_APPS, and take broker= out of their declaration.",
        )
    if not missing and not strangers:
        yield fine("every task goes to Nightshift's.")


def have_options_that_agree() -> Iterator[Finding]:
    """No option of a task contradicts another."""
    found = [
        finding
        for actor in dramatiq.get_broker().actors.values()
        for finding in _contradictions(actor.actor_name, actor.options)
    ]
    yield from found or [fine("those of each task agree.")]


def _broken_modules() -> Iterator[Finding]:
    for app in apps.get_app_configs():
        name = f"{app.name}.tasks"
        try:
            import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a module raises
            if app.module is not None and module_has_submodule(app.module, "tasks"):
                yield fault(
                    "tasks-broken",
                    f"{name} cannot be loaded, so no worker starts: {events.first_line(error)}.",
                    "Mend it, or take the app out of INSTALLED_APPS.",
                )


def _declared() -> Iterator[Actor[Any, Any]]:
    """Every task that a loaded module of an app has; by its type, so that nothing lazy is woken."""
    inside = tuple(f"{app.name}." for app in apps.get_app_configs())
    found = {
        id(value): value
        for name, module in list(sys.modules.items())
        if f"{name}.".startswith(inside)
        for value in list(getattr(module, "__dict__", {}).values())
        if issubclass(type(value), Actor)
    }
    yield from found.values()


def _contradictions(name: str, options: dict[str, object]) -> Iterator[Finding]:
    retries, first, longest = (options.get(key) for key in ("max_retries", "min_backoff", "max_backoff"))
    if first and not retries and "retry_when" not in options:
        yield warning(
            "option-without-effect",
            f"{name} has a backoff and only one attempt.",
            "Add max_attempts, or take backoff out.",
        )
    if isinstance(first, int) and isinstance(longest, int) and first > longest:
        yield warning(
            "backoff-above-longest",
            f"{name} waits {first / 1000:g} s before its second attempt, and at most {longest / 1000:g} s.",
            "Raise max_backoff (milliseconds), or lower backoff (seconds).",
        )
    if options.get("on_lost") == "lost" and retries:
        yield warning(
            "options-contradict",
            f"{name} must not run twice (on_lost='lost') and is tried {int(str(retries)) + 1} times.",
            "Take out one of the two, unless a failure is known to have done nothing.",
        )
