"""The reference pages tell the truth: what the code has they have, and nothing else."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path

from tom_nightshift import events, exceptions
from tom_nightshift.conf import Settings
from tom_nightshift.ledger.options import OPTIONS
from tom_nightshift.states import MOVES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOT_EVENTS = {"first_line", "is_refused", "results_are_kept"}


def first_column(page: str) -> list[str]:
    return re.findall(r"^\| `([^`(]+)[`(]", (DOCS / "reference" / page).read_text(), re.MULTILINE)


def test_every_setting_stands_on_its_page_with_its_default():
    page = (DOCS / "reference" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", page, re.MULTILINE))
    in_code = {field.name.upper(): field.default for field in fields(Settings)}
    assert set(rows) == set(in_code)
    assert {name: ast.literal_eval(value) for name, value in rows.items()} == in_code


def test_every_event_stands_on_its_page():
    in_code = {
        name
        for name, member in inspect.getmembers(events, inspect.isfunction)
        if member.__module__ == events.__name__ and not name.startswith("_")
    }
    assert set(first_column("events.md")) == in_code - NOT_EVENTS


def test_every_error_stands_on_its_page_and_in_the_tree():
    in_code = {
        name
        for name, member in inspect.getmembers(exceptions, inspect.isclass)
        if member.__module__ == exceptions.__name__
    }
    assert set(first_column("errors.md")) == in_code
    assert (
        set(re.findall(r"^[ │]*(?:[├└]── )?([A-Z]\w+)(?:$|  )", exceptions.__doc__, re.MULTILINE)) == in_code
    )


def test_every_line_of_the_doctors_stands_on_its_page():
    page = (DOCS / "howto" / "doctor.md").read_text()
    in_code = [
        str(call.args[0].value)
        for file in (ROOT / "src" / "tom_nightshift" / "doctor").glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and len(call.args) == 3
        if call.func.id in ("warning", "fault", "say") and isinstance(call.args[0], ast.Constant)
    ]
    assert len(in_code) > 50
    assert sorted(set(in_code)) == sorted(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))


def test_every_option_of_a_task_stands_on_its_page():
    page = (DOCS / "reference" / "tasks.md").read_text()
    table = page.split("## Options of a task")[1].split("## Options of a call")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(OPTIONS)


def test_the_drawing_of_the_moves_is_the_code():
    drawing = re.search(r"```\n(waiting.*?)```", (DOCS / "explain" / "job-life.md").read_text(), re.DOTALL)
    assert drawing is not None
    drawn = {}
    for line in drawing[1].strip().splitlines():
        state, _, targets = line.partition("->")
        drawn[state.strip()] = set(targets.split())
    assert drawn == {str(state): {str(target) for target in targets} for state, targets in MOVES.items()}
