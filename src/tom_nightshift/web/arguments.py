"""The arguments of a job, by name, with secrets masked: for its owner and staff."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import dramatiq
from dramatiq import Message
from dramatiq.errors import ActorNotFound

from tom_nightshift.exceptions import ArgumentsRefused
from tom_nightshift.ledger import secrets
from tom_nightshift.ledger.arguments import bound_arguments
from tom_nightshift.models import Job

LONGEST = 500


def shown_arguments(job: Job) -> list[tuple[str, str]]:
    """Names and values. A value whose name is not known here is not shown: it could be a secret."""
    try:
        message: Message[Any] = Message.decode(bytes(job.message))
    except Exception:  # noqa: BLE001 - whatever an encoder raises: the page goes on without
        return [("(cannot be read)", "")]
    arguments = _by_name(message)
    masked = secrets.of_arguments(arguments).mask_all(arguments)
    return [(name, _short(value)) for name, value in masked.items()]


def _by_name(message: Message[Any]) -> Mapping[str, Any]:
    try:
        return bound_arguments(dramatiq.get_broker().get_actor(message.actor_name), message)
    except (ActorNotFound, ArgumentsRefused):
        unnamed = [f"argument {place}" for place in range(1, len(message.args) + 1)]
        return dict.fromkeys(unnamed, "(not shown: its name is not known here)") | message.kwargs


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
