"""The log of a job: what its task logged and printed, in order, of that job alone, and bounded."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager

import dramatiq

from tests.support.jobs import ended, log_of, running
from tom_nightshift.ledger import capture

logger = logging.getLogger("myapp.tasks")


@contextmanager
def capturing():
    """As in a worker process: what is logged and printed goes to the jobs' logs."""
    before, level = sys.stdout, logging.getLogger().level
    capture.install()
    try:
        yield
    finally:
        capture.uninstall()
        logging.getLogger().setLevel(level)
    assert sys.stdout is before


def test_the_log_has_what_was_logged_and_printed_in_order_of_this_job_alone(broker):
    barrier = threading.Barrier(2, timeout=10)

    @dramatiq.actor(broker=broker)
    def task(name):
        for number in range(3):
            barrier.wait()
            logger.info("%s logs %d", name, number)
            print(name, "prints", number)
        try:
            raise ValueError("caught")
        except ValueError:
            logger.exception("it went wrong")

    with capturing(), running(broker, threads=2):
        first, second = task.send("first"), task.send("second")
        logs = [log_of(ended(message)) for message in (first, second)]
    for name, log in zip(("first", "second"), logs, strict=True):
        said = [line[9:] for line in log]
        assert said[:6] == [f"{name} {what} {number}" for number in range(3) for what in ("logs", "prints")]
        assert said[6] == "ERROR: it went wrong"
        assert said[-1].endswith("ValueError: caught")


def test_of_a_long_log_the_beginning_and_the_end_are_kept(broker, nightshift):
    nightshift(LOG_BYTES=2_000)

    @dramatiq.actor(broker=broker)
    def task():
        for number in range(1_000):
            logger.info("line %d", number)

    with capturing(), running(broker):
        log = log_of(ended(task.send()))
    said = [line.partition(" ")[2] for line in log]
    assert said[:2] == ["line 0", "line 1"]
    assert said[-1] == "line 999"
    (left_out,) = [line for line in log if "lines left out" in line]
    assert len(log) + int(left_out.split()[1]) == 1_001
    assert len("\n".join(log).encode()) < 2_100


def test_one_line_longer_than_the_whole_log_is_cut(broker, nightshift):
    nightshift(LOG_BYTES=2_000)

    @dramatiq.actor(broker=broker)
    def task():
        print("é" * 50_000)
        print("the end")

    with capturing(), running(broker):
        log = log_of(ended(task.send()))
    assert len("\n".join(log).encode()) < 2_100
    assert log[-1].endswith("the end")


def test_a_bar_that_redraws_itself_leaves_its_last_state(broker):
    @dramatiq.actor(broker=broker)
    def task():
        for percent in (10, 50, 100):
            print(f"\r{percent}%", end="")

    with capturing(), running(broker):
        assert [line[9:] for line in log_of(ended(task.send()))] == ["100%"]
