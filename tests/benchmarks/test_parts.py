"""Every part gives every figure that its table shows, and none where a job is not as it should be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.__main__ import PARTS
from benchmarks.contender import WrongStates
from benchmarks.figures import Values
from benchmarks.options import Size
from benchmarks.part import Result, run_once
from benchmarks.table import write

SMALL = Size(
    runs=1, jobs=40, many=40, pickups=5, pairs=2, idle=0.5, busy=0.5, finished=200, held=50, claimed=16,
    pages=2, snapshot=0.5,
)  # fmt: skip
BESIDE_RIVALS = [name for name, part in PARTS.items() if part.beside_rivals]


HARM = (
    "UPDATE tom_nightshift_job SET state = 'failed' WHERE id",
    "UPDATE tom_nightshift_job SET attempt = 2 WHERE id",
    "UPDATE tom_nightshift_job SET result = NULL WHERE id",
    "UPDATE tom_nightshift_job SET owner_id = NULL WHERE id",
    "UPDATE tom_nightshift_job SET subject_id = NULL WHERE id",
    "DELETE FROM tom_nightshift_attempt WHERE job_id",
    "UPDATE tom_nightshift_log SET text = 'x' WHERE job_id",
)


@pytest.mark.parametrize("name", PARTS)
def test_of_nightshift(nightshift, name):
    if nightshift.database.name not in PARTS[name].databases:
        pytest.skip(f"{name} is not measured on {nightshift.database.name}")
    values = PARTS[name].once(nightshift, SMALL)
    assert set(values) == {measure.name for measure in PARTS[name].measures}


@pytest.mark.parametrize("name", BESIDE_RIVALS)
def test_of_a_rival(rival, name):
    values = PARTS[name].once(rival, SMALL)
    assert set(values) == {measure.name for measure in PARTS[name].measures if measure.name in values}
    assert {measure.name for measure in PARTS[name].measures if measure.compared} <= set(values)


def test_one_job_that_is_not_as_it_should_be_is_seen(nightshift):
    PARTS["drain"].once(nightshift, SMALL)
    nightshift.check(range(SMALL.jobs))
    jobs = [job for (job,) in nightshift.database.rows("SELECT id FROM tom_nightshift_job ORDER BY id")]
    for harmed, harm in enumerate(HARM, 1):
        nightshift.database.rows(f"{harm} = {jobs[harmed]}")
        with pytest.raises(WrongStates, match=f"{harmed} rows are wrong"):
            nightshift.check(range(SMALL.jobs))


def test_a_job_that_did_not_run_is_seen(rival):
    PARTS["drain"].once(rival, SMALL)
    with pytest.raises(WrongStates, match="1 never started"):
        rival.check(range(SMALL.jobs + 1))


def test_the_table_compares_runs_that_were_made_beside_each_other():
    ours: list[Values] = [{"rate": 30.0}, {}, {"rate": 90.0}]  # the second gave no figure
    theirs: list[Values] = [{"rate": 10.0}, {"rate": 900.0}, {"rate": 60.0}]
    result = Result(PARTS["drain"], {"Nightshift, SQLite": ours, "Other": theirs})
    line = next(line for line in write([result]).splitlines() if "jobs/s" in line)
    assert line == "| drain | jobs/s | 60 (30 to 90) | 2.25 | ≥ 1.5 × |  |  | ≥ 1.0 × | 60 (10 to 900) |"


def test_a_run_with_wrong_states_gives_no_figure_and_is_told(nightshift):
    def once(contender, size):
        contender.fresh()
        contender.stage.record.clear()
        contender.check(range(1))

    part = replace(PARTS["drain"], once=once)
    result = Result(part)
    run_once(result, 0, nightshift, SMALL)
    assert result.of(nightshift.name, "rate") == []
    assert result.problems == [
        f"No figure: drain, run 1: {nightshift.name}: 1 never started, 0 started twice, 0 were not sent"
    ]
