"""Nightshift's place in a Django site, and in a TOM: its hooks are plain data, so that none can fail."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate
from django.urls import include, path

from tom_nightshift import stack
from tom_nightshift.ledger import sqlite


class NightshiftConfig(AppConfig):
    """Builds the broker while Django loads its apps, so that it is there before any task is declared."""

    name = "tom_nightshift"
    label = "tom_nightshift"
    verbose_name = "Nightshift"
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, app_name: str, app_module: Any) -> None:
        super().__init__(app_name, app_module)
        self.broker = stack.install_broker()

    def ready(self) -> None:
        sqlite.set_up_connections()
        post_migrate.connect(sqlite.switch_after_migrate, sender=self, dispatch_uid="nightshift-wal")
        if apps.is_installed("tom_targets"):
            # By name: the engine runs without TOM Toolkit and knows nothing of it.
            import_module("tom_nightshift.toolkit.hooks").connect()

    def include_url_paths(self) -> list[Any]:
        """TOM Toolkit's hook: our pages."""
        return [path("nightshift/", include("tom_nightshift.web.urls"))]

    def nav_items(self) -> list[dict[str, str]]:
        """TOM Toolkit's hook: *Jobs* with its badge, in the navigation of every page."""
        return [{"partial": "tom_nightshift/partials/nav_item.html", "position": "right"}]

    def target_detail_tabs(self) -> list[dict[str, str]]:
        """TOM Toolkit's hook: the *Jobs* tab of a target; it loads itself when it is first shown."""
        return [{"label": "Jobs", "partial": "tom_nightshift/partials/target_tab.html"}]
