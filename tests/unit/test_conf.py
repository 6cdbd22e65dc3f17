"""Settings: what is right is read into its type, what is wrong is refused with a sentence that helps."""

from __future__ import annotations

import math
from dataclasses import fields
from types import MappingProxyType

import pytest

from tom_nightshift.conf import Settings, get_settings
from tom_nightshift.exceptions import SettingsRefused


def test_nothing_written_gives_the_defaults(settings):
    settings.NIGHTSHIFT = {}
    assert get_settings() == Settings()


def test_every_key_can_be_written_with_its_own_default():
    written = {field.name.upper(): field.default for field in fields(Settings) if field.default is not None}
    assert Settings.parse(written) == Settings()


@pytest.mark.parametrize(
    ("key", "near"),
    [("TREADS", "THREADS"), ("threads", "THREADS"), ("KEEPDAYS", "KEEP_DAYS"), ("RUNDIR", "RUN_DIR")],
)
def test_an_unknown_key_is_refused_with_the_nearest_right_name(key, near):
    with pytest.raises(SettingsRefused, match=rf"NIGHTSHIFT\['{key}'\]: did you mean '{near}'\?"):
        Settings.parse({key: 1})


def test_a_key_that_is_near_to_none_is_refused_with_all_names():
    with pytest.raises(SettingsRefused, match=r"the names are ARGUMENT_BYTES, .*WORK_DIR\."):
        Settings.parse({"QQQQ": 1})


def test_a_key_that_is_no_text_is_refused():
    with pytest.raises(SettingsRefused, match=r"NIGHTSHIFT\[7\]"):
        Settings.parse({7: 1})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("THREADS", "4", "a whole number"),
        ("THREADS", 2.5, "a whole number"),
        ("THREADS", True, "a whole number"),
        ("THREADS", None, "a whole number"),
        ("THREADS", -1, "not negative"),
        ("THREADS", 0, "above zero"),
        ("PROCESSES", 0, "above zero"),
        ("LEASE", 0.0, "above zero"),
        ("GRACE", "30", "a number"),
        ("GRACE", math.nan, "not negative"),
        ("TIMEOUT", math.inf, "not negative"),
        ("QUEUES", "default", "a list of names"),
        ("QUEUES", [1], "a list of names"),
        ("SQLITE_SETUP", "no", "True or False"),
        ("SQLITE_SETUP", 1, "True or False"),
        ("RUN_DIR", 7, "a text"),
        ("BACKGROUND", ["uploads"], "a dictionary"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_the_right_one(key, value, words):
    with pytest.raises(SettingsRefused, match=rf"NIGHTSHIFT\['{key}'\] is .*{words}"):
        Settings.parse({key: value})


@pytest.mark.parametrize(
    ("written", "field", "read"),
    [
        ({"THREADS": 8.0}, "threads", 8),
        ({"GRACE": 0}, "grace", 0),
        ({"QUEUES": ["a", "b"]}, "queues", ("a", "b")),
        ({"QUEUES": ("a",)}, "queues", ("a",)),
        ({"BACKGROUND": MappingProxyType({"uploads": False})}, "background", {"uploads": False}),
    ],
)
def test_values_are_read_into_their_types(written, field, read):
    value = getattr(Settings.parse(written), field)
    assert (value, type(value)) == (read, type(value) if field == "background" else type(read))


def test_a_mode_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(SettingsRefused, match=r"'eagre': choose one of worker, eager, off"):
        Settings.parse({"MODE": "eagre"})


def test_a_broker_that_this_version_has_not_is_refused():
    with pytest.raises(
        SettingsRefused, match=r"begins with 'amqp': write 'database://'.*redis://"
    ) as refused:
        Settings.parse({"BROKER": "amqp://user:secret@x"})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("broker", ["redis", "postgres.example.org", ""])
def test_a_broker_that_is_no_address_is_refused(broker):
    with pytest.raises(SettingsRefused, match="write 'database://'"):
        Settings.parse({"BROKER": broker})


@pytest.mark.parametrize("broker", ["redis://host:6379/3", "rediss://user:secret@host/0"])
def test_the_address_of_a_server_is_taken_as_it_is(broker):
    assert Settings.parse({"BROKER": broker}).broker == broker


def test_what_is_no_slow_work_of_the_tom_is_refused():
    with pytest.raises(SettingsRefused, match=r"NIGHTSHIFT\['BACKGROUND'\]\['upload'\].*'uploads'"):
        Settings.parse({"BACKGROUND": {"upload": True}})
    with pytest.raises(SettingsRefused, match=r"\['BACKGROUND'\]\['uploads'\] is 'yes'"):
        Settings.parse({"BACKGROUND": {"uploads": "yes"}})


def test_settings_that_are_no_dictionary_are_refused(settings):
    settings.NIGHTSHIFT = ["THREADS"]
    with pytest.raises(SettingsRefused, match="it takes a dictionary"):
        get_settings()


def test_they_are_read_once_and_again_when_they_change(settings):
    settings.NIGHTSHIFT = {"THREADS": 7}
    assert get_settings().threads == 7
    assert get_settings() is get_settings()
    settings.NIGHTSHIFT = {"THREADS": 9}
    assert get_settings().threads == 9


def test_the_environment_overrides_the_broker(settings, monkeypatch):
    monkeypatch.setenv("NIGHTSHIFT_BROKER", "database://environment")
    settings.NIGHTSHIFT = {"BROKER": "database://written", "THREADS": 7}
    assert (get_settings().broker, get_settings().threads) == ("database://environment", 7)


def test_the_environment_is_checked_too(settings, monkeypatch):
    monkeypatch.setenv("NIGHTSHIFT_BROKER", "amqp://x")
    settings.NIGHTSHIFT = {}
    with pytest.raises(SettingsRefused, match="begins with 'amqp'"):
        get_settings()


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_environment_says_nothing(settings, monkeypatch, empty):
    monkeypatch.delenv("NIGHTSHIFT_BROKER", raising=False)
    if empty is not None:
        monkeypatch.setenv("NIGHTSHIFT_BROKER", empty)
    settings.NIGHTSHIFT = {"BROKER": "database://written"}
    assert get_settings().broker == "database://written"
