"""What manage.py check says, and what is put in at start-up."""

from __future__ import annotations

import dramatiq
import pytest
from django.apps import apps
from django.core import checks as django_checks

from tom_nightshift import checks
from tom_nightshift.toolkit import extraction, hooks

pytestmark = pytest.mark.tom

HERE = "tom_nightshift.web.request.RequestMiddleware"


def said(check):
    return [message.id for message in check(None)]


def test_a_tom_with_the_line_added_has_nothing_to_hear(settings):
    ours = [m for m in django_checks.run_checks() if str(m.id).startswith("nightshift")]
    assert ours == []


def test_extraction_without_its_packages(settings, monkeypatch):
    assert said(checks.extraction_is_installed) == []
    monkeypatch.setattr(checks, "find_spec", lambda name: None if name == "sep" else object())
    assert said(checks.extraction_is_installed) == []
    settings.NIGHTSHIFT = {"EXTRACT_ON_UPLOAD": True}
    assert said(checks.extraction_is_installed) == ["nightshift.W001"]
    assert "tom-nightshift[astro]" in checks.extraction_is_installed(None)[0].hint


def test_not_first_in_installed_apps(monkeypatch):
    assert said(checks.stands_first) == []
    behind = list(reversed(list(apps.get_app_configs())))
    monkeypatch.setattr(apps, "get_app_configs", lambda: behind)
    assert said(checks.stands_first) == ["nightshift.W002"]


@pytest.mark.parametrize(("engine", "ids"), [("sqlite3", ["nightshift.W003"]), ("postgresql", [])])
def test_atomic_requests_with_sqlite(settings, monkeypatch, engine, ids):
    databases = {"default": {"ENGINE": f"django.db.backends.{engine}", "ATOMIC_REQUESTS": True}}
    monkeypatch.setattr(checks, "django_setting", lambda name, default=None: databases)
    assert said(checks.requests_do_not_lock_sqlite) == ids


def test_a_tom_whose_addresses_leave_ours_out(settings):
    assert said(checks.pages_can_be_reached) == []
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    assert said(checks.pages_can_be_reached) == ["nightshift.W004"]


def test_the_middleware_is_there_and_is_missed(settings):
    assert settings.MIDDLEWARE[-1] == HERE
    assert said(checks.requests_are_known) == []
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != HERE]
    assert said(checks.requests_are_known) == ["nightshift.W005"]


def test_the_middleware_is_put_in_once_and_a_tuple_will_do(settings):
    settings.MIDDLEWARE = ("theirs",)
    hooks._middleware()
    hooks._middleware()
    assert list(settings.MIDDLEWARE) == ["theirs", HERE]


def test_the_tasks_are_declared_in_every_process():
    assert {"nightshift.process_upload", "nightshift.extract_sources"} <= set(dramatiq.get_broker().actors)


@pytest.mark.parametrize("on", [True, False])
def test_extraction_is_put_in_only_where_it_is_asked_for(settings, on):
    settings.NIGHTSHIFT = {"EXTRACT_ON_UPLOAD": on}
    settings.DATA_PROCESSORS = {"photometry": "their.Processor"}
    hooks._processors()
    assert ("fits_file" in settings.DATA_PROCESSORS) is on


def test_what_the_tom_has_for_fits_files_is_not_replaced(settings):
    settings.NIGHTSHIFT = {"EXTRACT_ON_UPLOAD": True}
    settings.DATA_PROCESSORS = {"fits_file": "their.Processor"}
    hooks._processors()
    assert "Deferred__fits_file" in settings.DATA_PROCESSORS["fits_file"]


def test_without_its_packages_extraction_is_absent(settings, monkeypatch):
    monkeypatch.setattr(extraction, "find_spec", lambda name: None)
    settings.NIGHTSHIFT = {"EXTRACT_ON_UPLOAD": True}
    settings.DATA_PROCESSORS = {"photometry": "their.Processor"}
    hooks._processors()
    assert "fits_file" not in settings.DATA_PROCESSORS


def test_a_part_that_fails_does_not_keep_the_tom_from_starting(settings, monkeypatch, caplog):
    settings.DATA_PROCESSORS = object()  # nothing of the kind
    monkeypatch.setattr(hooks, "set_rules", lambda rules: 1 / 0)
    hooks.connect()
    assert "Who may see jobs" in caplog.text
    assert "Reading uploads in the background" in caplog.text
    assert settings.MIDDLEWARE[-1] == HERE
