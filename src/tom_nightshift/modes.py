"""Where jobs run: as the settings say, but for tests, where they run at once unless a test asks otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core import mail

from tom_nightshift.conf import get_settings

_asked: list[str] = []


def mode() -> str:
    """``worker``, ``eager`` or ``off`` (see ``conf.Settings.mode``)."""
    if _asked:
        return _asked[-1]
    return "off" if under_test() else get_settings().mode


def runs_here() -> bool:
    """Whether a job runs at once, where it is asked for."""
    return mode() != "worker"


def in_background(what: str) -> bool:
    """Whether the TOM's own slow work of this name (a key of ``BACKGROUND``) goes to the background."""
    return mode() != "off" and (get_settings().background or {}).get(what, True)


def under_test() -> bool:
    """Whether Django's test environment is set up: by ``manage.py test`` as by pytest-django."""
    return hasattr(mail, "outbox")


@contextmanager
def use(name: str) -> Iterator[None]:
    """Use this mode, whatever the settings say, until the block ends."""
    _asked.append(name)
    try:
        yield
    finally:
        _asked.pop()
