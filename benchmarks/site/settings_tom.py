"""The same site with TOM Toolkit in it, as ``tom_setup`` writes it, as far as a worker sees."""

from __future__ import annotations

from tom_common.default_settings import (
    TOMTOOLKIT_AUTHENTICATION_BACKENDS,
    TOMTOOLKIT_INSTALLED_APPS,
    TOMTOOLKIT_MIDDLEWARE,
)

from benchmarks.site.settings import *  # noqa: F403

INSTALLED_APPS = ["tom_nightshift", *TOMTOOLKIT_INSTALLED_APPS, "benchmarks.site"]
MIDDLEWARE = [*TOMTOOLKIT_MIDDLEWARE]
AUTHENTICATION_BACKENDS = [*TOMTOOLKIT_AUTHENTICATION_BACKENDS]
ROOT_URLCONF = "benchmarks.site.urls_tom"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

TOM_NAME = "A TOM that is measured"
SITE_ID = 1
CRISPY_TEMPLATE_PACK = "bootstrap5"
TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
TARGET_TYPE = "SIDEREAL"
FACILITIES: dict[str, dict[str, str]] = {"LCO": {"portal_url": "http://127.0.0.1:9", "api_key": ""}}
DATA_PRODUCT_TYPES = {
    "photometry": ("photometry", "Photometry"),
    "fits_file": ("fits_file", "FITS File"),
    "spectroscopy": ("spectroscopy", "Spectroscopy"),
    "image_file": ("image_file", "Image File"),
}
DATA_PROCESSORS = {
    "photometry": "tom_dataproducts.processors.photometry_processor.PhotometryProcessor",
    "spectroscopy": "tom_dataproducts.processors.spectroscopy_processor.SpectroscopyProcessor",
}
EXTRA_FIELDS: list[dict[str, str]] = []
AUTH_STRATEGY = "READ_ONLY"
OPEN_URLS: list[str] = []
TARGET_PERMISSIONS_ONLY = True
TARGET_DEFAULT_PERMISSION = "PRIVATE"
HOOKS: dict[str, str] = {}
