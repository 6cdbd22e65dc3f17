"""The keys of a job: by what its task is declared with, and the arguments of the call.

Two jobs have the same key if it comes to the same text, whichever tasks they are of.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from hashlib import blake2b
from string import Formatter
from typing import Any

from dramatiq import Actor

from tom_nightshift.exceptions import ArgumentsRefused, OptionRefused
from tom_nightshift.ledger import storable
from tom_nightshift.ledger.arguments import with_defaults
from tom_nightshift.ledger.secrets import of_arguments

LONGEST = 200
"""Characters of a key; what is longer is told apart by a checksum."""


def settle(actor: Actor[Any, Any]) -> None:
    """Check the options that make keys.

    Raises:
        OptionRefused: a value cannot be used, or names an argument that the task does not have.
    """
    unique = actor.options.get("unique")
    if unique is None or unique is True:
        return
    if not isinstance(unique, str) or not unique:
        raise OptionRefused(
            f"{actor.actor_name}: unique is {unique!r}: it takes True (one job for the same arguments), or a "
            "text such as 'image-{target_id}'."
        )
    check_template(actor, "unique", unique)


def unique_key(actor: Actor[Any, Any] | None, arguments: Mapping[str, Any]) -> str:
    """The key of which at most one open job has it; empty: any number may be asked for.

    Parameters:
        actor: the task, where this process knows it.
        arguments: those of the call, by name.

    Raises:
        ArgumentsRefused: the arguments make no key.
    """
    unique = actor.options.get("unique") if actor is not None else None
    if actor is None or unique is None:
        return ""
    if unique is not True:
        return filled(actor, "unique", unique, arguments)
    return f"{actor.actor_name[:150]}#{_checksum(_canonical(actor, with_defaults(actor, arguments)))}"


def check_template(actor: Actor[Any, Any], option: str, template: str) -> None:
    """Check that a text with ``{argument}`` in it can be filled in.

    Raises:
        OptionRefused: it cannot.
    """
    task = actor.actor_name
    try:
        fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise OptionRefused(f"{task}: {option} is {template!r}: {error}.") from None
    parameters = inspect.signature(actor.fn).parameters
    taken = [
        name for name, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    for name in (re.split(r"[.\[]", field)[0] for field in fields):
        if name not in taken:
            raise OptionRefused(
                f"{task}: {option} is {template!r}, and {task} has no argument {name!r}: it has "
                f"{', '.join(taken) or 'none'}."
            )


def filled(actor: Actor[Any, Any], option: str, template: str, arguments: Mapping[str, Any]) -> str:
    """Such a text with the arguments filled in, and the defaults of those that were left out; no secret is
    in it.

    Raises:
        ArgumentsRefused: it cannot be filled in.
    """
    named = with_defaults(actor, arguments)
    try:
        key = storable.text(template.format(**named))
    except Exception as error:
        raise ArgumentsRefused(
            f"{actor.actor_name} has {option}={template!r}, which cannot be filled in with what was sent: "
            f"{type(error).__name__}: {error}."
        ) from error
    shown = of_arguments(named).mask(key)
    return key if shown == key and len(key) <= LONGEST else f"{shown[:150]}#{_checksum(key)}"


def _canonical(actor: Actor[Any, Any], arguments: Mapping[str, Any]) -> str:
    """The arguments as one text, the same for the same arguments."""
    try:
        return storable.as_json(arguments, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ArgumentsRefused(
            f"{actor.actor_name} has unique=True, and its arguments cannot be compared ({error}): give it "
            "a text such as unique='image-{target_id}'."
        ) from None


def _checksum(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
