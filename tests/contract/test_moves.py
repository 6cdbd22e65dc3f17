"""The verbs make legal moves only, from whatever state they find."""

from __future__ import annotations

import pytest

from tests.support.jobs import actor, own_sql
from tom_nightshift.ledger import holding, moves
from tom_nightshift.models import Job, Queue
from tom_nightshift.states import FINAL, MOVES, Hold, State


def finish(state):
    def verb(sql, job):
        moves.finish(sql, (job.id, 1), state, reason="", error="", result=None)

    return verb


def wait_again(sql, job):
    moves.wait_again(sql, (job.id, 1), charge="", reason="", error="", message=None, hold=Hold.NONE, delay=0)


VERBS = {
    "claim": lambda sql, job: moves.claim(sql, "w", ["default"], 10),
    "claim_one": lambda sql, job: moves.claim_one(sql, "w", job.id),
    "wait_again": wait_again,
    "stop": lambda sql, job: moves.stop(sql, job.id, "ann"),
    "release": lambda sql, job: moves.release(sql, [job.id]),
    "release_due": lambda sql, job: moves.release_due(sql),
    "expire": lambda sql, job: moves.expire(sql),
    "pause": lambda sql, job: holding.pause(sql, "default", "ann"),
    "put_right": lambda sql, job: holding.put_right(sql),
    "release_parked": lambda sql, job: moves.release_parked(sql, ["task"]),
    **{f"finish as {state}": finish(state) for state in sorted(FINAL)},
}

HELD = {
    "release": Hold.UNTIL,
    "release_due": Hold.UNTIL,
    "release_parked": Hold.PARKED,
    "put_right": Hold.PAUSED,
}


@pytest.mark.parametrize("stop_requested", [False, True], ids=["", "stop requested"])
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_from_each_state(broker, verb, stop_requested):
    send = actor(lambda: None, actor_name="task", broker=broker).send
    for state in State:
        job = Job.objects.get(message_id=send().message_id)
        Job.objects.exclude(pk=job.pk).delete()
        Job.objects.update(state=state, attempt=1, stop_requested=stop_requested, expires_at=job.created_at)
        with own_sql() as sql:
            VERBS[verb](sql, job)
        job.refresh_from_db()
        assert job.state == state or job.state in MOVES[state]
        assert (job.finished_at is None) == (job.state == state or job.state not in FINAL)


def test_each_verb_does_move_something(broker):
    """Or the test above would be content with verbs that do nothing."""
    send = actor(lambda: None, actor_name="task", broker=broker).send
    for verb in VERBS:
        job = Job.objects.get(message_id=send().message_id)
        Job.objects.exclude(pk=job.pk).delete()
        held = HELD.get(verb, Hold.NONE)
        from_state = State.RUNNING if verb.startswith(("finish", "wait")) else State.WAITING
        Job.objects.update(
            state=from_state, attempt=1, hold=held, run_at=job.created_at, expires_at=job.created_at
        )
        with own_sql() as sql:
            VERBS[verb](sql, job)
        job.refresh_from_db()
        assert (job.state, job.hold) != (from_state, held), verb
        Queue.objects.all().delete()
