"""``python -m dramatiq benchmarks.site.importing``: workers that each load the whole site themselves."""

from __future__ import annotations

from django.urls import get_resolver
from django.utils.module_loading import autodiscover_modules

from benchmarks.site.start import start

start()
autodiscover_modules("tasks")
get_resolver().url_patterns  # noqa: B018 - as Nightshift's own workers: a task that builds an address loads it
