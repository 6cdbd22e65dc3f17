"""A process that dies between any two statements loses no step of a pipeline and no callback of a group, and
doubles none.
"""

from __future__ import annotations

from itertools import count

import dramatiq
import pytest
from django.db import transaction

from tests.chaos.conftest import LONG
from tests.chaos.crashing import CRASHES, STRIDE, Crashes
from tests.chaos.tasks import follow, work
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.models import Job
from tom_nightshift.states import State

SHORT_STRIDE = 9

STATEMENTS = {
    "the next step": "INSERT INTO tom_nightshift_job",
    "a part is counted": "INSERT INTO tom_nightshift_value",
    "one less to go": "UPDATE tom_nightshift_value",
    "after commit": "after COMMIT",
}
"""Before each of these a process has died by the time the long form ends."""

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def crashes(site, tmp_path):
    """The moments at which the processes of this site die."""
    folder = tmp_path / "crashes"
    folder.mkdir()
    crashes = Crashes(folder, 1 if LONG else SHORT_STRIDE)
    site.environment |= {CRASHES: str(folder), STRIDE: str(crashes.stride)}
    return crashes


def test_no_step_is_lost_and_none_is_there_twice(site, trial, crashes):
    asked = []
    with site.worker("--threads=3", ready=0, MAX_LOSSES=1000) as worker:
        for number in count():
            asked.append(ask(str(trial.diary)))
            if lives_through(worker, crashes, number, asked[-1]):
                break
        crashes.make_peace()
        wait_until(lambda: all(is_over(messages) for messages in asked), at_most=120, what=worker.log[-3000:])
        died = crashes.crashed()
        trial.ends_well("A process dies between two steps of a pipeline", faults=len(died), in_flight=3)
        assert "engine fault" not in worker.log
    assert len(died) >= (30 if LONG else 4), died
    missed = [what for what, words in STATEMENTS.items() if not any(words in line for line in died)]
    assert not (LONG and missed), died
    assert Job.objects.count() == sum(len(messages) for messages in asked)
    for messages in asked:
        came_in_order(messages)


def ask(diary):
    """A pipeline of three, and a group of three with one that comes after all; their messages in order."""
    line = dramatiq.pipeline([work.message(diary, 0.0), follow.message(diary), follow.message(diary)])
    parts = [work.message(diary, 0.0), work.message(diary, 0.0), follow.message(diary)]
    last = follow.message(diary)
    group = dramatiq.group(parts)
    group.add_completion_callback(last)
    with transaction.atomic():
        line.run()
        group.run()
    return [*line.messages, *parts, last]


def lives_through(worker, crashes, number, messages):
    """Whether all of it was done and no process died of it."""

    def dead():
        return len(crashes.crashed()) > number

    wait_until(lambda: dead() or is_over(messages), at_most=PATIENCE, what=f"{number}:\n{worker.log[-3000:]}")
    return not dead()


def is_over(messages):
    wanted = Job.objects.filter(message_id__in=[message.message_id for message in messages])
    return wanted.filter(state=State.SUCCEEDED).count() == len(messages)


def came_in_order(messages):
    rows = {str(job.message_id): job for job in Job.objects.all()}
    first, second, third, *parts, last = [rows[message.message_id] for message in messages]
    assert first.finished_at <= second.created_at
    assert second.finished_at <= third.created_at
    assert all(part.finished_at <= last.created_at for part in parts)
