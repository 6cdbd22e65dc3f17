"""Where jobs run: as the settings say, in tests in the request, and as a test asks."""

from __future__ import annotations

import pytest
from django.core import mail

from tom_nightshift import modes, testing


@pytest.fixture
def on_a_site(monkeypatch):
    """As if no test were running."""
    monkeypatch.delattr(mail, "outbox")


def test_under_test_everything_stays_in_the_request(settings):
    settings.NIGHTSHIFT = {"MODE": "worker"}
    assert (modes.under_test(), modes.mode(), modes.runs_here()) == (True, "off", True)
    assert not modes.in_background("uploads")


@pytest.mark.usefixtures("on_a_site")
@pytest.mark.parametrize(
    ("mode", "here", "background"), [("worker", False, True), ("eager", True, True), ("off", True, False)]
)
def test_on_a_site_the_settings_decide(settings, mode, here, background):
    settings.NIGHTSHIFT = {"MODE": mode}
    assert not modes.under_test()
    assert (modes.mode(), modes.runs_here(), modes.in_background("uploads")) == (mode, here, background)


@pytest.mark.usefixtures("on_a_site")
def test_each_of_the_tom_s_slow_works_can_be_left_in_the_request(settings):
    settings.NIGHTSHIFT = {"BACKGROUND": {"uploads": False}}
    assert not modes.in_background("uploads")
    assert not modes.runs_here()


def test_a_test_asks_otherwise_until_its_block_ends():
    with testing.waiting():
        assert modes.mode() == "worker"
        with testing.eager():
            assert modes.mode() == "eager"
            assert modes.in_background("uploads")
        assert modes.mode() == "worker"
    assert modes.mode() == "off"


def test_an_error_in_the_block_ends_it_too():
    with pytest.raises(ZeroDivisionError), testing.waiting():
        raise ZeroDivisionError
    assert modes.mode() == "off"
