"""The arguments of a call, by the names of the task's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from dramatiq import Actor, Broker
from dramatiq.errors import ActorNotFound

from tom_nightshift.exceptions import ArgumentsRefused


def bound_arguments(actor: Actor[Any, Any] | None, message: Any) -> Mapping[str, Any]:
    """The arguments by name.

    Raises:
        ArgumentsRefused: they do not fit the task's signature.
    """
    if actor is None:
        return dict(message.kwargs)
    signature = _signature(actor.fn)
    try:
        return signature.bind(*message.args, **message.kwargs).arguments
    except TypeError as error:
        raise ArgumentsRefused(
            f"{actor.actor_name}{signature} cannot be called with what was sent: {error}."
        ) from None


def with_defaults(actor: Actor[Any, Any] | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, and the defaults of those that were left out."""
    return {**_defaults(actor.fn), **arguments} if actor else dict(arguments)


def arguments_by_name(broker: Broker, message: Any) -> dict[str, Any]:
    """The arguments by name, with defaults, as far as this process knows the task."""
    try:
        actor = broker.get_actor(message.actor_name)
        names = _places(actor.fn)
        if len(message.args) <= len(names):  # checked when it was asked for: that took five times as long
            return with_defaults(actor, {**dict(zip(names, message.args, strict=False)), **message.kwargs})
        return with_defaults(actor, bound_arguments(actor, message))
    except (ActorNotFound, ArgumentsRefused):
        unnamed = {f"argument {place}": value for place, value in enumerate(message.args, 1)}
        return {**unnamed, **message.kwargs}


@lru_cache(maxsize=1024)
def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    """Worked out once for a task: that takes longer than to write a row."""
    return inspect.signature(fn)


@lru_cache(maxsize=1024)
def _places(fn: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the arguments that are given by their places."""
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(one.name for one in _signature(fn).parameters.values() if one.kind in by_place)


@lru_cache(maxsize=1024)
def _defaults(fn: Callable[..., Any]) -> dict[str, Any]:
    parameters = _signature(fn).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}
