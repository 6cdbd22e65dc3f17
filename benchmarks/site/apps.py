"""The app of the site under test."""

from __future__ import annotations

from django.apps import AppConfig

from benchmarks.site import watching


class BenchmarkConfig(AppConfig):
    """A star, and the tasks."""

    name = "benchmarks.site"
    label = "benchmark"

    def ready(self) -> None:
        watching.watch_as_told()
