"""Whatever the site's time zone, jobs begin when they are due."""

from __future__ import annotations

import pytest

from tests.support.jobs import actor, ended, job_of, own_sql, running
from tom_nightshift.ledger import moves
from tom_nightshift.states import State


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "Pacific/Honolulu"])
@pytest.mark.parametrize("use_tz", [True, False])
def test_a_delayed_job_begins_when_it_is_due_and_no_earlier(broker, settings, use_tz, zone):
    settings.USE_TZ = use_tz
    settings.TIME_ZONE = zone
    task = actor(lambda: None, actor_name="task", broker=broker)
    with running(broker):
        late = task.send_with_options(delay=3_600_000)
        soon = ended(task.send_with_options(delay=200))
    assert soon.state == State.SUCCEEDED
    assert (soon.started_at - soon.created_at).total_seconds() >= 0.2
    assert job_of(late).attempt == 0
    with own_sql() as sql:
        until_due = moves.worth_claiming(sql, ["default"]).until_due
    assert until_due is not None
    assert 3_500 < until_due <= 3_600
