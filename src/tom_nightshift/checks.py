"""What ``manage.py check`` says of Nightshift in a TOM: by its settings, never by asking the database."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Warning, register
from django.urls import NoReverseMatch, reverse

from tom_nightshift.conf import django_setting, get_settings

MIDDLEWARE = "tom_nightshift.web.request.RequestMiddleware"


@register("nightshift")
def extraction_is_installed(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Sources in uploaded images can be found if that is asked for."""
    missing = [name for name in ("astropy", "numpy", "PIL", "sep") if find_spec(name) is None]
    if not get_settings().extract_on_upload or not missing:
        return []
    return [
        Warning(
            f"NIGHTSHIFT['EXTRACT_ON_UPLOAD'] is on, but {', '.join(missing)} cannot be imported: "
            "no sources are extracted.",
            hint="Run: pip install 'tom-nightshift[astro]', or take EXTRACT_ON_UPLOAD out of the settings.",
            id="nightshift.W001",
        )
    ]


@register("nightshift")
def stands_first(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Nightshift stands first in ``INSTALLED_APPS``."""
    first = next(iter(apps.get_app_configs()), None)
    if first is None or first.name == "tom_nightshift":
        return []
    return [
        Warning(
            f"'tom_nightshift' does not stand first in INSTALLED_APPS ({first.name!r} does).",
            hint="Write INSTALLED_APPS = ['tom_nightshift'] + TOMTOOLKIT_INSTALLED_APPS + […]: tasks of apps "
            "that are loaded before Nightshift may be declared for another broker.",
            id="nightshift.W002",
        )
    ]


@register("nightshift")
def requests_do_not_lock_sqlite(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """No database is an SQLite file that every page locks."""
    aliases = [
        alias
        for alias, database in django_setting("DATABASES", {}).items()
        if database.get("ATOMIC_REQUESTS") and str(database.get("ENGINE", "")).endswith("sqlite3")
    ]
    return [
        Warning(
            f"DATABASES[{alias!r}] is SQLite with ATOMIC_REQUESTS: each page locks the database until it is "
            "done, and pages and workers wait for one another.",
            hint="Take ATOMIC_REQUESTS out, or move to PostgreSQL.",
            id="nightshift.W003",
        )
        for alias in aliases
    ]


@register("nightshift")
def pages_can_be_reached(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """The TOM's addresses take Nightshift's in."""
    try:
        reverse("nightshift:jobs")
    except NoReverseMatch:
        return [
            Warning(
                "The TOM's urls.py does not take in the pages of Nightshift.",
                hint="It takes them in with path('', include('tom_common.urls')); without that, add "
                "path('nightshift/', include('tom_nightshift.web.urls')).",
                id="nightshift.W004",
            )
        ]
    return []


@register("nightshift")
def requests_are_known(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """The middleware that Nightshift adds at start-up is still there."""
    if MIDDLEWARE in django_setting("MIDDLEWARE", []):
        return []
    return [
        Warning(
            f"{MIDDLEWARE} is missing: jobs do not know who asked for them.",
            hint="Something replaces MIDDLEWARE after Nightshift has added it: put it last in that list.",
            id="nightshift.W005",
        )
    ]
