"""The app of the site under test."""

from __future__ import annotations

from django.apps import AppConfig


class BenchmarkConfig(AppConfig):
    """A star, and the tasks."""

    name = "benchmarks.site"
    label = "benchmark"
