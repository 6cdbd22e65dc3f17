"""What the doctor says of settings, the run directory and tasks: each fault is caused, and found."""

from __future__ import annotations

import os
import sys
import types

import dramatiq
import pytest
from django.core import checks
from dramatiq.brokers.stub import StubBroker

from tests.doctor.conftest import by_name
from tests.support.jobs import actor
from tom_nightshift.doctor import rundir, settings, tasks
from tom_nightshift.doctor.findings import Level


@pytest.mark.parametrize(
    ("written", "name", "level"),
    [
        ({"LEASE": 10, "HEARTBEAT": 10}, "lease-below-heartbeat", Level.FAULT),
        ({"LEASE": 29, "HEARTBEAT": 10}, "lease-short", Level.WARNING),
        ({"GRACE": 100, "TIMEOUT": 60}, "grace-above-timeout", Level.WARNING),
        ({"KEEP_DAYS": 90, "KEEP_FAILED_DAYS": 30}, "failed-kept-shorter", Level.WARNING),
        ({"LEASE": 30, "HEARTBEAT": 10}, "", Level.FINE),
    ],
)
def test_settings_that_make_no_sense_together(nightshift, written, name, level):
    nightshift(**written)
    assert {found.name: found.level for found in settings.make_sense_together()} == {name: level}


@pytest.mark.parametrize("kind", [checks.Error, checks.Warning])
def test_what_djangos_check_says_is_said_here_too(nightshift, kind):
    def says(app_configs, **kwargs):
        return [kind("it is so", hint="do this", id="nightshift.X001")]

    before = by_name(settings.pass_the_checks())
    checks.register(says, "nightshift")
    try:
        found = by_name(settings.pass_the_checks())["check"]
    finally:
        checks.registry.registry.registered_checks.discard(says)
    assert (found.what, found.todo) == ("it is so (nightshift.X001)", "do this")
    assert found.level == (Level.FAULT if kind is checks.Error else Level.WARNING)
    assert by_name(settings.pass_the_checks()) == before


@pytest.fixture
def names_of(nightshift):
    """Names of what is found with this folder as run directory."""

    def look(folder):
        nightshift(RUN_DIR=str(folder))
        return [found.name for found in rundir.can_be_used()]

    return look


def test_a_run_directory_that_can_be_used(names_of, run_folder):
    before = os.listdir(run_folder)
    assert names_of(run_folder) == [""]
    assert os.listdir(run_folder) == before


def test_one_that_is_not_there_is_not_made(names_of, run_folder):
    assert names_of(f"{run_folder}/later") == [""]
    assert not os.path.exists(f"{run_folder}/later")
    assert names_of("/proc/nowhere/later")[0] == "run-directory-missing" or os.geteuid() == 0


def test_one_that_is_a_file(names_of, run_folder):
    file = f"{run_folder}/file"
    with open(file, "w"):
        assert names_of(file) == ["run-directory-not-a-folder"]
    os.unlink(file)


def test_one_that_others_can_write(names_of, tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    folder.chmod(0o770)
    assert "run-directory-not-private" in names_of(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_one_that_belongs_to_somebody_else(names_of, tmp_path):
    folder = tmp_path / "d"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    assert "run-directory-not-ours" in names_of(folder)


def test_one_that_takes_no_files(names_of):
    folder = "/proc/self/task" if os.geteuid() == 0 else "/proc/self/fdinfo"
    assert names_of(folder) == ["run-directory-no-locks"]


def test_one_whose_path_is_too_long_for_a_socket(names_of, tmp_path):
    folder = tmp_path / ("d" * 120)
    folder.mkdir(mode=0o700)
    assert names_of(folder) == ["run-directory-no-sockets", "run-directory-path-long"]


def test_a_broker_that_was_replaced(our_broker):
    assert by_name(tasks.go_to_our_broker()).keys() == {""}
    dramatiq.set_broker(StubBroker())
    assert by_name(tasks.go_to_our_broker()).keys() == {"broker-replaced"}


def test_middleware_that_was_taken_out(our_broker):
    our_broker.middleware = [part for part in our_broker.middleware if "JobHooks" not in repr(part)]
    assert "JobHooks" in by_name(tasks.go_to_our_broker())["middleware-missing"].what


def test_a_task_that_is_bound_to_another_broker(our_broker, monkeypatch):
    module = types.ModuleType("tom_nightshift.elsewhere")
    module.task = actor(lambda: None, actor_name="stray", broker=StubBroker())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert "stray" in by_name(tasks.go_to_our_broker())["task-of-another-broker"].what


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, ""),
        ({"backoff": 10, "max_attempts": 3}, ""),
        ({"backoff": 10}, "option-without-effect"),
        ({"backoff": 10, "max_attempts": 3, "max_backoff": 5_000}, "backoff-above-longest"),
        ({"on_lost": "lost", "max_attempts": 3}, "options-contradict"),
    ],
)
def test_options_that_contradict_one_another(our_broker, options, name):
    actor(lambda: None, actor_name="task", broker=our_broker, **options)
    assert by_name(tasks.have_options_that_agree()).keys() == {name}
