"""The tasks of the site under test."""

from __future__ import annotations

import gc
import logging
import os

import dramatiq
from django.db.models import F

from benchmarks import record
from benchmarks.agreed import QUIET
from benchmarks.site.models import Star
from tom_nightshift import progress

logger = logging.getLogger(__name__)


@dramatiq.actor
def nothing(number: int) -> dict[str, int]:
    """What is sent when the queue itself is measured: one line in the log, and a result."""
    record.started(number)
    logger.info("this is number %d", number)
    return {"number": number}


@dramatiq.actor
def observe(number: int, star_id: int) -> dict[str, int]:
    """What runs while people use the site: it tells how far it is, and writes one row of the site's own."""
    record.started(number)
    progress(1, 1, "seen")
    Star.objects.filter(pk=star_id).update(visits=F("visits") + 1)
    logger.info("this is number %d", number)
    return {"number": number}


@dramatiq.actor
def tidy(number: int) -> None:
    """Tells who runs it, and touches all that its process has in memory, as sooner or later happens."""
    record.started(os.getpid())
    logger.info("this is number %d", number)
    gc.collect()


for _name in QUIET:
    dramatiq.actor(actor_name=_name, queue_name=_name)(nothing.fn)
