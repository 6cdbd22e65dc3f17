"""The arguments of a job, by name, with secrets masked: for its owner and staff."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import dramatiq
from dramatiq import Message
from dramatiq.errors import ActorNotFound

from tom_nightshift.exceptions import ArgumentsRefused
from tom_nightshift.ledger import enqueue
from tom_nightshift.models import Job

SECRET = ("password", "token", "api_key", "apikey", "secret")
MASK = "••••••"
LONGEST = 500


def shown_arguments(job: Job) -> list[tuple[str, str]]:
    """Names and values. A value whose name is not known here is not shown: it could be a secret."""
    try:
        message: Message[Any] = Message.decode(bytes(job.message))
    except Exception:  # noqa: BLE001 - whatever an encoder raises: the page goes on without
        return [("(cannot be read)", "")]
    return [(name, _short(_masked(name, value))) for name, value in _by_name(message).items()]


def _by_name(message: Message[Any]) -> Mapping[str, Any]:
    try:
        actor = dramatiq.get_broker().get_actor(message.actor_name)
        return enqueue.bound_arguments(actor, message)
    except (ActorNotFound, ArgumentsRefused):
        unnamed = [f"argument {place}" for place in range(1, len(message.args) + 1)]
        return dict.fromkeys(unnamed, "(not shown: its name is not known here)") | message.kwargs


def _masked(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in SECRET):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", inner) for inner in value]
    return value


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
