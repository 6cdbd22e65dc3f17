"""What a claim reads does not grow with the jobs that may not begin, nor with those that are over."""

from __future__ import annotations

import pytest

from benchmarks import rows
from tests.support.jobs import actor, own_sql
from tests.support.many import Here
from tests.support.reading import read_by
from tom_nightshift.ledger import admission, moves

MANY = 3000
QUEUES = ("default",)

IN_FRONT = {
    "held": lambda here: rows.add_held(here, MANY),
    "held, and some are due": lambda here: _add_some_due(here),
    "over": lambda here: rows.add_finished(here, MANY, every=10),
}


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


@pytest.mark.parametrize("what", IN_FRONT)
def test_what_a_turn_reads_is_the_same_with_many_in_front(task, what):
    def turn_reads():
        for _ in range(20):
            task.send()
        Here().analyze()
        with own_sql() as sql, read_by(sql.connection) as reading:
            assert moves.worth_claiming(sql, QUEUES).is_ready
            moves.release_due(sql)
            admission.admit(sql, 8)
            assert len(moves.claim(sql, "worker", QUEUES, 8)) == 8
        return reading.amount

    few = turn_reads()
    IN_FRONT[what](Here())
    assert turn_reads() < few * 1.2 + MANY / 20


def _add_some_due(here):
    rows.add_held(here, MANY)
    some = "SELECT id FROM tom_nightshift_job WHERE hold = 'until' LIMIT 3"
    here.rows(f"UPDATE tom_nightshift_job SET run_at = created_at WHERE id IN ({some})")
