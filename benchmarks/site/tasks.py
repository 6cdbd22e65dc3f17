"""The tasks of the site under test."""

from __future__ import annotations

import logging

import dramatiq

from benchmarks import record

QUIET = ("quiet", "quiet-2", "quiet-3", "quiet-4", "quiet-5")
"""Queues to which nothing is sent."""

logger = logging.getLogger(__name__)


@dramatiq.actor
def nothing(number: int) -> dict[str, int]:
    """What is sent when the queue itself is measured: one line in the log, and a result."""
    record.started(number)
    logger.info("this is number %d", number)
    return {"number": number}


for _name in QUIET:
    dramatiq.actor(actor_name=_name, queue_name=_name)(nothing.fn)
