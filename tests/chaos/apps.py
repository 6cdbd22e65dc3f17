"""Loads the faults into every process of the site under test."""

from __future__ import annotations

from django.apps import AppConfig


class ChaosConfig(AppConfig):
    """Tasks that keep a diary, and processes that die when told."""

    name = "tests.chaos"
    label = "chaos"

    def ready(self) -> None:
        from tests.chaos import crashing

        crashing.prepare()
