"""The site writes rows of its own while workers drain the queue: nobody ever hears "database is locked"."""

from __future__ import annotations

import threading

from django.contrib.auth.models import Group
from django.db import transaction

from tests.support.jobs import actor, running
from tests.support.rivals import race
from tests.support.waiting import wait_until
from tom_nightshift import progress, say
from tom_nightshift.models import Job
from tom_nightshift.states import State

JOBS = 300
VISITORS = 4
CLICK = 0.01
"""Seconds from one page to the next."""


def read_and_write(name):
    """What a page does: look, and write by what it saw."""
    with transaction.atomic():
        seen = Group.objects.count()
        Group.objects.create(name=f"{name} {seen}")


def work(number):
    progress(number, JOBS, "writing")
    say(f"row {number}")
    read_and_write(f"job {number}")


def test_pages_and_workers_share_the_database(broker, caplog):
    task = actor(work, actor_name="work", broker=broker)
    with transaction.atomic():
        for number in range(JOBS):
            task.send(number)
    drained = threading.Event()

    def visit(visitor):
        page = 0
        while not drained.wait(CLICK):
            read_and_write(f"visitor {visitor} page {page}")
            page += 1
        return page

    def drain():
        with running(broker, threads=4):
            wait_until(lambda: not Job.objects.open().exists(), at_most=200, what="end of all jobs")

    def act(number):
        try:
            return drain() if number == VISITORS else visit(number)
        finally:
            if number == VISITORS:
                drained.set()

    *pages, trouble = race(VISITORS + 1, act)

    assert trouble is None
    assert [page for page in pages if not isinstance(page, int) or page == 0] == []
    assert "locked" not in caplog.text
    assert set(Job.objects.values_list("state", "attempt")) == {(State.SUCCEEDED, 1)}
    assert Group.objects.count() == JOBS + sum(pages)
