"""Which of Dramatiq's brokers carries the jobs, by the address in the settings."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from dramatiq import Middleware

from tom_nightshift.broker.carried import Carried, carry
from tom_nightshift.broker.doorbells import DoorbellHooks
from tom_nightshift.broker.inline import InlineSavepoint
from tom_nightshift.broker.rows import WorkerBoot
from tom_nightshift.exceptions import SettingsRefused

EXTRAS = {"redis": "redis", "rediss": "redis"}
"""Scheme of an address → what is to be installed for it."""


def broker(address: str, middleware: list[Middleware], runs_here: Callable[[], bool]) -> Carried:
    """Dramatiq's broker for an address, as a carrier of Nightshift's jobs. It connects when it is used.

    Parameters:
        middleware: of the stack, outermost first.

    Raises:
        SettingsRefused: what it needs is not installed, or the address cannot be read.
    """
    scheme = address.partition(":")[0]
    module = _module(scheme)
    try:
        made = module.make(address)
    except ValueError:  # what it says may have a piece of a password in it
        raise SettingsRefused(
            f"NIGHTSHIFT['BROKER'] begins with {scheme}://, and the rest cannot be read: write it as "
            f"{scheme}://host:port/0, and what is special in a password as %XX."
        ) from None
    carried = carry(made, module.CARRIER, runs_here)
    for one in around(middleware):
        carried.add_middleware(one)
    return carried


def around(middleware: list[Middleware]) -> list[Middleware]:
    """The stack with what a carrier needs around it, outermost first."""
    return [WorkerBoot(), DoorbellHooks(), *middleware, InlineSavepoint()]


def _module(scheme: str) -> Any:
    extra = EXTRAS[scheme]
    try:
        return import_module(f"tom_nightshift.broker.{extra}_carrier")
    except ImportError as error:
        raise SettingsRefused(
            f"NIGHTSHIFT['BROKER'] begins with {scheme}://, and {error.name} is not installed: "
            f"pip install 'tom-nightshift[{extra}]'."
        ) from error
