"""Every setting of Nightshift: its name, type, default and meaning; and the only place that reads settings.

A TOM writes them as one dictionary, ``NIGHTSHIFT = {"THREADS": 8}``. Keys are the names of the fields below
in capitals. Unknown keys are refused with the nearest right name. The environment variable
``NIGHTSHIFT_BROKER`` overrides ``BROKER``.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Self

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from tom_nightshift.exceptions import SettingsRefused

MODES = ("worker", "eager", "off")
DATABASE = "database:"
CARRIERS = ("redis", "rediss")
"""Schemes of the addresses of brokers that carry jobs."""

BACKGROUND = ("uploads",)
ABOVE_ZERO = ("PROCESSES", "THREADS", "MAX_LOSSES", "HEARTBEAT", "LEASE", "TIMEOUT", "UNRESPONSIVE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force. Times are in seconds, sizes in bytes, unless said."""

    broker: str = "database://"
    """What carries the jobs. ``database://``: the TOM's own database. ``redis://…`` or ``rediss://…``: that
    server."""

    mode: str = "worker"
    """``worker``: jobs wait for a worker process. ``eager``: a job runs at once, where it was asked for.
    ``off``: as ``eager``, and TOM Toolkit's own slow work stays in the request as if Nightshift were not
    there."""

    processes: int = 1
    """Worker processes that ``manage.py nightshift`` keeps alive."""

    threads: int = 4
    """Jobs that one worker process runs at a time."""

    queues: tuple[str, ...] = ()
    """Queues a worker listens to. Empty: all of them."""

    sqlite_setup: bool = True
    """Whether connections to an SQLite database that holds the jobs are set up so that they never lock the
    site (``BEGIN IMMEDIATE``, 20 s of patience, write-ahead log)."""

    run_dir: str = ""
    """Folder for the workers' lock files and doorbells. Empty: a private folder, named by the database, in
    the system's temporary folder."""

    work_dir: str = ""
    """Folder in which jobs keep files for their later attempts, best shared by all workers. Empty:
    ``.nightshift`` in ``MEDIA_ROOT``; without that, in ``RUN_DIR``."""

    heartbeat: float = 10.0
    """How often a worker says that it is alive."""

    lease: float = 60.0
    """After how long without a heartbeat a worker on another machine is taken for dead."""

    unresponsive: float = 300.0
    """After how long a worker process that shows no sign of life is killed by its supervisor; its jobs run
    again."""

    max_jobs: int = 0
    """Jobs after which a worker process gives way to a fresh one. 0: never."""

    max_memory: int = 0
    """Bytes of memory of its own above which a worker process gives way to a fresh one, once its jobs have
    ended. 0: never."""

    grace: float = 30.0
    """How long a worker that is told to end lets running jobs finish before it hands them back."""

    max_losses: int = 3
    """How often a job may take its worker down before it is set aside."""

    stop_patience: float = 10.0
    """How long a job that is asked to stop has until it is interrupted, and then until its process is killed;
    also how long one whose time limit has passed has until then."""

    timeout: float = 3600.0
    """How long one attempt of a job may take, unless its task says otherwise."""

    log_bytes: int = 262_144
    """Size of the log kept of one attempt; of a longer one the beginning and the end are kept."""

    argument_bytes: int = 262_144
    """Largest size of a job's arguments."""

    result_bytes: int = 65_536
    """Largest size of a job's return value; a larger one is dropped with a warning."""

    keep_days: float = 30.0
    """Days for which jobs that succeeded are kept."""

    keep_failed_days: float = 90.0
    """Days for which all other jobs are kept."""

    secret_names: tuple[str, ...] = (
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "api_key",
        "access_key",
        "private_key",
        "credential",
        "authorization",
    )
    """Words that make a name secret wherever they stand in it, in capitals or not (``api_key`` is also
    ``apiKey`` and ``Api-Key``). What is called so is masked on the pages, in logs and in errors; an empty
    list masks nothing.
    """

    read_in_request: int = 1_048_576
    """Photometry and spectroscopy files up to this size are read in the request, with TOM Toolkit's own
    errors.
    """

    extract_on_upload: bool = False
    """Whether the sources in every uploaded FITS file are extracted, where the TOM has no processor for them.
    """

    background: Mapping[str, bool] | None = None
    """Which of the TOM's own slow work goes to the background: ``{"uploads": True}``."""

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Read the ``NIGHTSHIFT`` dictionary.

        Raises:
            SettingsRefused: a key is unknown, or its value has the wrong type or is out of range.
        """
        known = {field.name.upper(): field for field in fields(cls)}
        values = {}
        for key, value in raw.items():
            if key not in known:
                raise SettingsRefused(_unknown("NIGHTSHIFT", key, known))
            values[known[key].name] = _checked(key, value, cls.__annotations__[known[key].name])
        parsed = cls(**values)
        parsed._check_choices()
        return parsed

    def _check_choices(self) -> None:
        if self.mode not in MODES:
            raise SettingsRefused(f"NIGHTSHIFT['MODE'] is {self.mode!r}: choose one of {', '.join(MODES)}.")
        scheme, colon, _ = self.broker.partition(":")
        if not colon or scheme not in (DATABASE[:-1], *CARRIERS):
            servers = " or ".join(f"{one}://" for one in CARRIERS)
            raise SettingsRefused(
                f"NIGHTSHIFT['BROKER'] begins with {scheme!r}: write 'database://' for the TOM's own "
                f"database, or the address of a server, which begins with {servers}."
            )
        if not all(word.strip() for word in self.secret_names):
            raise SettingsRefused(
                f"NIGHTSHIFT['SECRET_NAMES'] is {self.secret_names!r}: an empty word stands in every name. "
                "Take it out; an empty list masks nothing."
            )
        for key, value in (self.background or {}).items():
            if key not in BACKGROUND:
                raise SettingsRefused(_unknown("NIGHTSHIFT['BACKGROUND']", key, BACKGROUND))
            if not isinstance(value, bool):
                raise SettingsRefused(
                    f"NIGHTSHIFT['BACKGROUND'][{key!r}] is {value!r}: it takes True or False."
                )


def _unknown(where: str, key: str, known: Any) -> str:
    names = {str(name).casefold(): str(name) for name in known}  # "threads" is near "THREADS"
    near = [names[found] for found in difflib.get_close_matches(str(key).casefold(), list(names), n=1)]
    hint = f"did you mean {near[0]!r}?" if near else f"the names are {', '.join(sorted(known))}."
    return f"Unknown setting {where}[{key!r}]: {hint}"


def _checked(key: str, value: Any, kind: str) -> Any:
    """The value in its field's type, or a refusal that names both."""
    if kind in ("int", "float"):
        return _number(key, value, kind)
    if kind == "tuple[str, ...]":
        if not isinstance(value, list | tuple | set | frozenset) or not all(
            isinstance(item, str) for item in value
        ):
            raise SettingsRefused(f"NIGHTSHIFT[{key!r}] is {value!r}: it takes a list of names.")
        return tuple(value)
    right = {"bool": bool, "str": str}.get(kind, Mapping)
    if not isinstance(value, right):
        raise SettingsRefused(f"NIGHTSHIFT[{key!r}] is {value!r}: it takes {_in_words(kind)}.")
    return value


def _number(key: str, value: Any, kind: str) -> int | float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf or (kind == "int" and value % 1):
        what = "a whole number" if kind == "int" else "a number"
        raise SettingsRefused(f"NIGHTSHIFT[{key!r}] is {value!r}: it takes {what} that is not negative.")
    if key in ABOVE_ZERO and value == 0:
        raise SettingsRefused(f"NIGHTSHIFT[{key!r}] is {value!r}: it takes a number above zero.")
    return int(value) if kind == "int" else value


def _in_words(kind: str) -> str:
    return {"bool": "True or False", "str": "a text"}.get(kind, "a dictionary of True and False")


@cache
def get_settings() -> Settings:
    """The settings in force, read once; read again after Django's ``setting_changed``."""
    written = getattr(django_settings, "NIGHTSHIFT", {})
    if not isinstance(written, Mapping):
        raise SettingsRefused(f"NIGHTSHIFT is {written!r}: it takes a dictionary, such as {{'THREADS': 8}}.")
    broker = os.environ.get("NIGHTSHIFT_BROKER")
    return Settings.parse({**written, "BROKER": broker} if broker else written)


def django_setting(name: str, default: Any = None) -> Any:
    """A setting that belongs to Django or to TOM Toolkit."""
    return getattr(django_settings, name, default)


def replace_django_setting(name: str, value: Any) -> None:
    """Put a setting of Django or of TOM Toolkit in place at start-up, before anything has read it."""
    setattr(django_settings, name, value)


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "NIGHTSHIFT":
        get_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="nightshift-settings")
