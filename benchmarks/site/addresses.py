"""``sqlite:///path`` and ``postgres://user:password@host:port/name`` as Django wants them."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit


def database(address: str) -> dict[str, Any]:
    """The entry for ``DATABASES``."""
    parts = urlsplit(address)
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
    }
