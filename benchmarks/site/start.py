"""Making a process one of the site under test."""

from __future__ import annotations

import os

import django


def start() -> None:
    """Load the site, its tasks too."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.site.settings")
    django.setup()
