"""Addresses of databases as Django wants them.

They are ``sqlite:///path#NORMAL`` (that is SQLite's ``synchronous``) and
``postgres://user:password@host:port/name``.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit


def database(address: str) -> dict[str, Any]:
    """The entry for ``DATABASES``."""
    parts = urlsplit(address)
    if parts.scheme == "sqlite":
        options = {"init_command": f"PRAGMA synchronous = {parts.fragment or 'FULL'}"}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path, "OPTIONS": options}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
    }
