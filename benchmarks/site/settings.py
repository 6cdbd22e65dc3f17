"""A Django site with Nightshift in it and nothing else. Logging is as tom_setup writes it."""

from __future__ import annotations

import os

from benchmarks.agreed import DATABASE, RUN_DIR
from benchmarks.site.addresses import database

SECRET_KEY = "only for benchmarks, and long enough for what a TOM encrypts with it"  # noqa: S105
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.site.urls"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
LOGIN_URL = "/login/"
MEDIA_ROOT = os.environ[RUN_DIR]

INSTALLED_APPS = [
    "tom_nightshift",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "benchmarks.site",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database(os.environ[DATABASE])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

NIGHTSHIFT = {"RUN_DIR": os.environ[RUN_DIR]}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"": {"handlers": ["console"], "level": "INFO"}},
}
