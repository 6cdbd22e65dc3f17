"""The addresses of the engine's own test site."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("nightshift/", include("tom_nightshift.web.urls"))]
