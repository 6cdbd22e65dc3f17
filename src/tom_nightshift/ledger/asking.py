"""Who asks and what it is about: worked out when a job is asked for.

``web/`` says who is behind the request; ``toolkit/`` registers what an argument named ``target_id`` means.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models

from tom_nightshift.ledger.attempt import current

asker: ContextVar[Callable[[], Any] | None] = ContextVar("nightshift_asker", default=None)
"""Gives the user of the current request, read at that moment: token log-ins set it late."""

TargetOf = Callable[[models.Model], int | None]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a job is about: an object by its content type and key, and the target that it belongs to."""

    type_id: int | None = None
    key: int | None = None
    target_id: int | None = None


_named: dict[str, Callable[[], type[models.Model]]] = {}
_target_of: list[TargetOf] = []


def name_subject(argument: str, model: Callable[[], type[models.Model]]) -> None:
    """From now on an argument of this name holds the key of such an object, and the job is about it."""
    _named[argument] = model


def find_target_by(target_of: TargetOf) -> None:
    """From now on ask this function for the target that an object belongs to."""
    _target_of.append(target_of)


def owner_id(asked: Any) -> int | None:
    """The owner: as given, else the user of the request, else the owner of the job that asks."""
    user = asked
    if user is None:
        ask = asker.get()
        user = ask() if ask is not None else None
    if user is None:
        running = current.get()
        return running.owner_id if running else None
    if isinstance(user, int):
        return user
    return user.pk if getattr(user, "is_authenticated", False) else None


def subject_of(asked: models.Model | None, arguments: Mapping[str, Any]) -> Subject:
    """The subject: as given, else the object that an argument names."""
    instance = asked if asked is not None else _named_instance(arguments)
    if instance is None or not isinstance(instance.pk, int):
        return Subject()
    kind = apps.get_model("contenttypes", "ContentType").objects.get_for_model(instance)
    targets = (find(instance) for find in _target_of)
    return Subject(kind.pk, instance.pk, next((target for target in targets if target is not None), None))


def _named_instance(arguments: Mapping[str, Any]) -> models.Model | None:
    for argument, model in _named.items():
        if arguments.get(argument) is not None:
            with contextlib.suppress(TypeError, ValueError):  # not a key: the task may make sense of it
                return model()._default_manager.filter(pk=arguments[argument]).first()
    return None
