"""Nightshift's pages are all there is."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("nightshift/", include("tom_nightshift.web.urls"))]
