"""What only the demo needs, on top of the settings of a stock TOM (``demo_tom/settings.py``).

A TOM of your own needs none of this: there, the one line in ``INSTALLED_APPS`` is all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from astropy.utils import iers
from django.http import HttpRequest, HttpResponse

from demo_tom.settings import *  # noqa: F403
from demo_tom.settings import MIDDLEWARE

HERE = Path(__file__).parent
RUN = Path(os.environ.get("NIGHTSHIFT_DEMO_RUN", HERE / "run"))

TOM_NAME = "Nightshift demo"
SECRET_KEY = (RUN / "secret_key").read_text()
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": RUN / "tom.sqlite3"}}
MEDIA_ROOT = RUN / "media"
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": RUN / "cache"}
}
HINTS_ENABLED = False

# Find the sources in every uploaded FITS file. "off" is how the demo measures the page without Nightshift.
NIGHTSHIFT = {"EXTRACT_ON_UPLOAD": True, "MODE": os.environ.get("NIGHTSHIFT_DEMO_MODE", "worker")}

# Nothing from outside: Bootstrap stands beside this file, and no table of the Earth's rotation is fetched.
BOOTSTRAP5 = {
    "css_url": {"url": "/static/bootstrap/bootstrap.min.css"},
    "javascript_url": {"url": "/static/bootstrap/bootstrap.bundle.min.js"},
}
iers.conf.auto_max_age = None
iers.conf.auto_download = bool(os.environ.get("ONLINE"))

POLICY = "default-src 'self' 'unsafe-inline' data:"


class NothingFromOutside:
    """Tells the browser to load nothing from other hosts, so that Aladin and JS9 fail at once.

    Without it a network that swallows packets holds ``DOMContentLoaded``, and no page comes to life.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response


if not os.environ.get("ONLINE"):
    MIDDLEWARE = [*MIDDLEWARE, "extras.NothingFromOutside"]
