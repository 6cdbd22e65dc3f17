"""A TOM's addresses; Nightshift's come through TOM Toolkit's own hook."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("", include("tom_common.urls"))]
