"""The options that a task may be declared with, on top of Dramatiq's own, and what they mean to Dramatiq."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from dramatiq import Actor, Broker
from dramatiq.errors import ActorNotFound

from tom_nightshift.exceptions import OptionRefused
from tom_nightshift.ledger import keys, limits, storable

OPTIONS = {
    "title": "What the job is called on pages; {argument} is filled in.",
    "track": "Whether a job leaves a row. On the database broker every job does.",
    "on_lost": "'again' (default): a job whose worker died runs again. 'lost': it must not.",
    "repeatable": "Whether the page offers Run again. Default True.",
    "max_attempts": "How often a failing job is tried in all. Default 1.",
    "backoff": "Seconds before the second attempt, doubled each time; or a function of (exception, job).",
    "immediate_ack": "Whether a thread waits until its job's outcome is committed before it takes another. "
    "Default: after a job of more than 50 ms.",
    "timeout": "Seconds that one attempt may take.",
    "unique": "A key, {argument} filled in, of which only one job may be open; True: the arguments are it.",
    "limit": "('ATLAS', 2): at most 2 jobs at a time of all tasks that name ATLAS. Or 2, for the task.",
    "rate": "('ATLAS', '10/m'): at most 10 jobs begin in any minute (s, m, h, d). Or '10/m', for the task.",
    "isolation": "'process': each attempt runs in a process of its own. Default: a thread.",
    "memory": "With isolation='process': bytes that an attempt may take on top of what a worker has.",
    "cpu_time": "With isolation='process': seconds of computing that an attempt may take.",
}

ACCEPTED = frozenset({*OPTIONS, "time_limit", "notify_shutdown"})
"""Also what two of Dramatiq's middleware declare that ours stand in for."""

_MEANS = {"max_attempts": "max_retries", "backoff": "min_backoff", "timeout": "time_limit"}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a task was declared with, as far as it matters while an attempt of it runs."""

    limit: float = math.inf
    """Seconds."""

    on_lost: str = "again"
    isolated: bool = False
    memory: int = 0
    """Bytes; 0: as much as there is."""

    cpu_time: float = 0.0
    """Seconds; 0: as much as it wants."""

    keeps_result: bool = True
    """What it returns can be asked for, and is shown."""

    immediate_ack: bool | None = None
    """Whether its thread waits until the outcome is committed; None: if it has run for long."""


def terms_of(broker: Broker, message: Any, default_limit: float) -> Terms:
    """The terms of a message's task, as this process knows it.

    Parameters:
        default_limit: seconds that an attempt may take where neither the message nor its task says.
    """
    try:
        terms = _declared(broker.get_actor(message.actor_name), default_limit)
    except ActorNotFound:
        terms = Terms(limit=default_limit)
    limit = message.options.get("time_limit") or terms.limit * 1000
    keeps_result = message.options.get("store_results", terms.keeps_result)
    if (limit, keeps_result) == (terms.limit * 1000, terms.keeps_result):
        return terms
    return replace(terms, limit=limit / 1000, keeps_result=keeps_result)


@lru_cache(maxsize=1024)
def _declared(actor: Actor[Any, Any], default_limit: float) -> Terms:
    """Worked out once for a task; what it was declared with does not change."""
    options = actor.options
    return Terms(
        limit=options.get("time_limit", default_limit * 1000) / 1000,
        on_lost=options.get("on_lost", "again"),
        isolated=options.get("isolation") == "process",
        memory=options.get("memory", 0),
        cpu_time=options.get("cpu_time", 0.0),
        keeps_result=options.get("store_results", True),
        immediate_ack=options.get("immediate_ack"),
    )


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
            if ours == "backoff" and callable(options[ours]) and theirs not in options:
                continue  # asked when an attempt has failed
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
    if options.get("immediate_ack") not in (None, True, False):
        raise OptionRefused(
            f"{actor.actor_name}: immediate_ack is {options['immediate_ack']!r}: it takes True or False."
        )
    _check_isolation(actor.actor_name, options)
    keys.settle(actor)
    limits.settle(actor)


def option(broker: Broker, task: str, name: str, default: Any) -> Any:
    """An option of a task by its name; the default where this process does not know the task."""
    try:
        return broker.get_actor(task).options.get(name, default)
    except ActorNotFound:
        return default


def _check_isolation(task: str, options: dict[str, Any]) -> None:
    isolation = options.get("isolation")
    if isolation not in (None, "process"):
        raise OptionRefused(f"{task}: isolation is {isolation!r}: it takes 'process', or leave it out.")
    for name in ("memory", "cpu_time"):
        if name in options:
            _above_zero(task, name, options[name])
            if isolation is None:
                raise OptionRefused(
                    f"{task}: {name} is kept to only in a process of its own: add isolation='process'."
                )


def _check_names(actor: Actor[Any, Any]) -> None:
    for what, name, longest in (("name", actor.actor_name, 200), ("queue name", actor.queue_name, 100)):
        if len(name) > longest or storable.text(name) != name:
            raise OptionRefused(
                f"the {what} {name[:60]!r}… of a task is {len(name)} characters long: at most {longest}."
            )


def _translated(task: str, name: str, value: Any) -> int:
    _above_zero(task, name, value)
    if name == "max_attempts":
        if value != int(value):
            raise OptionRefused(f"{task}: max_attempts is {value!r}: it takes a whole number.")
        return int(value) - 1
    return max(1, int(value * 1000))


def _above_zero(task: str, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise OptionRefused(f"{task}: {name} is {value!r}: it takes a number above zero.")
