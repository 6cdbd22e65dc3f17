"""Listening to a site's logging changes nothing of what the site itself says."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import pytest

from tom_nightshift.ledger import capture
from tom_nightshift.ledger.attempt import Attempt, current


@contextmanager
def bare_root(level=logging.WARNING):
    """The root logger as Python makes it: no handler, so that warnings go to standard error."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers[:] = []
    root.setLevel(level)
    yield root
    root.handlers[:] = before[0]
    root.setLevel(before[1])


@pytest.fixture
def attempt():
    attempt = Attempt(1, 1, "task", "default")
    token = current.set(attempt)
    yield attempt
    current.reset(token)


def lines(attempt):
    return [line[9:] for piece in attempt.log.take() for line in piece.text.splitlines()]


def test_warnings_that_nobody_else_hears_still_go_to_standard_error(capsys):
    with bare_root(), capture.listening():
        logging.getLogger("site").warning("disk nearly full")
        logging.getLogger("site").info("not this")
    assert capsys.readouterr().err == "disk nearly full\n"


def test_what_another_handler_hears_is_not_said_twice(capsys):
    logger = logging.getLogger("site.heard")
    logger.addHandler(logging.NullHandler())
    with bare_root(), capture.listening():
        logger.warning("heard")
    assert capsys.readouterr().err == ""
    logger.handlers.clear()


def test_afterwards_the_root_logger_is_as_it_was():
    with bare_root() as root:
        with capture.listening(), capture.listening():
            assert root.level == logging.INFO
        assert (root.level, root.handlers) == (logging.WARNING, [])


def test_a_level_that_the_site_chose_stays():
    with bare_root(logging.ERROR) as root, capture.listening():
        assert root.level == logging.ERROR


def test_the_engines_own_lines_are_not_the_tasks(attempt):
    with capture.listening():
        for name in ("nightshift", "dramatiq.worker.Worker", "nightshift_tools", "myapp"):
            logging.getLogger(name).warning("from %s", name)
    assert lines(attempt) == ["WARNING: from nightshift_tools", "WARNING: from myapp"]


def test_a_record_that_cannot_be_formatted_ends_nothing(attempt, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with capture.listening():
        logging.getLogger("myapp").info("%d frames", "many")
        logging.getLogger("myapp").info("next")
    assert lines(attempt) == ["next"]
