"""Write the reference pages that are lists of what stands in the code: settings, events, errors.

    python3 -m tools.reference

Read from the source, not by import, so that it needs nothing but Python.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ROOT / "src" / "tom_nightshift"
PAGES = ROOT / "docs" / "reference"

SETTINGS = """# Settings

One dictionary in the TOM's settings, `NIGHTSHIFT = {"THREADS": 8}`. Times are in seconds and sizes in bytes,
unless said. A key that is not listed is refused with the nearest right name. The environment variable
`NIGHTSHIFT_BROKER` overrides `BROKER`.

| key | default | meaning |
|---|---|---|
"""

EVENTS = """# Events

Everything Nightshift writes to the log, by the logger `nightshift`.

| event | when |
|---|---|
"""

ERRORS = """# Errors

Each message says what was wrong, with the value, and what to do. All are in `tom_nightshift.exceptions`.

| error | meaning |
|---|---|
"""

NOT_EVENTS = {"first_line", "is_refused", "results_are_kept"}


def main() -> None:
    (PAGES / "settings.md").write_text(SETTINGS + "".join(settings()))
    (PAGES / "events.md").write_text(EVENTS + "".join(events()))
    (PAGES / "errors.md").write_text(ERRORS + "".join(errors()))


def settings() -> Iterator[str]:
    classes = (node for node in _body("conf.py") if isinstance(node, ast.ClassDef))
    (fields,) = (node.body for node in classes if node.name == "Settings")
    for field, meaning in itertools.pairwise(fields):
        if isinstance(field, ast.AnnAssign) and field.value is not None:
            assert isinstance(meaning, ast.Expr), ast.unparse(field)
            name, words = ast.unparse(field.target).upper(), _one_line(ast.literal_eval(meaning.value))
            yield f"| `{name}` | `{ast.unparse(field.value)}` | {words} |\n"


def events() -> Iterator[str]:
    for node in _body("events.py"):
        if (
            isinstance(node, ast.FunctionDef)
            and not node.name.startswith("_")
            and node.name not in NOT_EVENTS
        ):
            yield f"| `{node.name}` | {_docstring(node)} |\n"


def errors() -> Iterator[str]:
    for node in _body("exceptions.py"):
        if isinstance(node, ast.ClassDef):
            yield f"| `{node.name}` | {_docstring(node)} |\n"


def _body(file: str) -> list[ast.stmt]:
    return ast.parse((CODE / file).read_text()).body


def _docstring(node: ast.FunctionDef | ast.ClassDef) -> str:
    return _one_line((ast.get_docstring(node) or "").split("\n\n")[0])


def _one_line(words: str) -> str:
    return " ".join(words.split()).replace("``", "`")


if __name__ == "__main__":
    main()
