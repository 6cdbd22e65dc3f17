"""The options that a task may be declared with, on top of Dramatiq's own, and what they mean to Dramatiq."""

from __future__ import annotations

import math
from typing import Any

from dramatiq import Actor, Broker
from dramatiq.errors import ActorNotFound

from tom_nightshift.exceptions import OptionRefused
from tom_nightshift.ledger import storable

OPTIONS = {
    "title": "What the job is called on pages; {argument} is filled in.",
    "track": "Whether a job leaves a row. On the database broker every job does.",
    "on_lost": "'again' (default): a job whose worker died runs again. 'lost': it must not.",
    "repeatable": "Whether the page offers Run again. Default True.",
    "max_attempts": "How often a failing job is tried in all. Default 1.",
    "backoff": "Seconds before the second attempt; each further wait is twice as long.",
    "timeout": "Seconds that one attempt may take.",
}

_MEANS = {"max_attempts": "max_retries", "backoff": "min_backoff", "timeout": "time_limit"}


def settle(actor: Actor[Any, Any]) -> None:
    """Check a task's options and say them in Dramatiq's words.

    Raises:
        OptionRefused: a value cannot be used, or an option stands beside the one of Dramatiq's that it
            replaces.
    """
    options = actor.options
    _check_names(actor)
    for ours, theirs in _MEANS.items():
        if ours in options:
            if theirs in options:
                raise OptionRefused(
                    f"{actor.actor_name}: {ours} and {theirs} say the same thing: keep {ours}."
                )
            # Taken out: an actor may be declared again, to another broker.
            options[theirs] = _translated(actor.actor_name, ours, options.pop(ours))
    if options.get("on_lost", "again") not in ("again", "lost"):
        raise OptionRefused(
            f"{actor.actor_name}: on_lost is {options['on_lost']!r}: it takes 'again' or 'lost'."
        )


def option(broker: Broker, task: str, name: str, default: Any) -> Any:
    """An option of a task by its name; the default where this process does not know the task."""
    try:
        return broker.get_actor(task).options.get(name, default)
    except ActorNotFound:
        return default


def _check_names(actor: Actor[Any, Any]) -> None:
    for what, name, longest in (("name", actor.actor_name, 200), ("queue name", actor.queue_name, 100)):
        if len(name) > longest or storable.text(name) != name:
            raise OptionRefused(
                f"the {what} {name[:60]!r}… of a task is {len(name)} characters long: at most {longest}."
            )


def _translated(task: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise OptionRefused(f"{task}: {name} is {value!r}: it takes a number above zero.")
    if name == "max_attempts":
        if value != int(value):
            raise OptionRefused(f"{task}: max_attempts is {value!r}: it takes a whole number.")
        return int(value) - 1
    return max(1, int(value * 1000))
