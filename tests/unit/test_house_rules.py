"""The rules of the house that a machine can hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "tom_nightshift"

LONGEST_FILE = 400
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "common", "misc", "base"}
GIVEN_BY_DJANGO = {"migrations", "templates", "static", "templatetags", "management", "__pycache__"}
# As tom_setup and the tutorial write them.
NOT_OUR_HAND = ("demo/manage.py", "demo/demo_tom/", "demo/myapp/tasks.py")
FUTURE = "from __future__ import annotations"


def test_no_file_is_too_long():
    lines = {
        shown(file): len(file.read_text().splitlines())
        for file in python_files("src", "demo", "tools", "benchmarks")
    }
    assert {file: count for file, count in lines.items() if count > LONGEST_FILE} == {}


def test_every_module_has_a_name_that_says_something():
    files = python_files("src", "demo", "tools", "benchmarks")
    assert [shown(file) for file in files if file.stem in NAMES_THAT_SAY_NOTHING] == []


def test_every_module_says_what_it_is_for():
    silent = [shown(file) for file in modules() if not ast.get_docstring(ast.parse(file.read_text()))]
    assert silent == []


def test_every_module_postpones_its_annotations():
    assert [shown(file) for file in modules() if FUTURE not in file.read_text()] == []


def test_every_feature_folder_stands_in_the_map_of_the_readme():
    readme = ROOT / "README.md"
    text = readme.read_text() if readme.exists() else None
    missing = [name for name in feature_folders() if text is not None and f"{name}/" not in text]
    assert missing == []


def test_tests_wait_for_something_and_never_for_some_time():
    nap = re.compile(r"\btime\.sleep\(")
    assert [shown(file) for file in python_files("tests") if nap.search(without_this(file))] == []


@pytest.mark.parametrize("pins", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda file: file.name)
def test_pins_are_names_versions_and_hashes_only(pins):
    addresses = re.compile(r"https?:|file:|--(extra-)?index|--find-links|--trusted|\s/\w|@")
    assert [line for line in pins.read_text().splitlines() if addresses.search(line)] == []
    assert re.findall(r"(?m)^[\w.\[\],-]+==[^\\\n]*$", pins.read_text()) == [], "a package without a hash"


def test_the_demo_shows_the_versions_that_are_tested():
    tested = versions("py311-django52.txt")
    shown_ones = versions("demo.txt")
    assert {name: version for name, version in shown_ones.items() if tested.get(name) != version} == {}


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (file for file in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in file.parts)


def modules() -> list[Path]:
    files = python_files("src", "demo", "tools", "tests", "benchmarks")
    ours = (file for file in files if not shown(file).startswith(NOT_OUR_HAND))
    return [file for file in ours if file.name != "__init__.py"]


def feature_folders() -> list[str]:
    folders = (place for place in sorted(PACKAGE.iterdir()) if place.is_dir())
    return [place.name for place in folders if place.name not in GIVEN_BY_DJANGO and any(place.rglob("*.py"))]


def without_this(file: Path) -> str:
    return "" if file == Path(__file__) else file.read_text()


def versions(pins: str) -> dict[str, str]:
    text = (ROOT / "requirements" / pins).read_text()
    return dict(re.findall(r"(?m)^([\w.-]+)(?:\[[^]]*\])?==([^ ;]+)", text))


def shown(file: Path) -> str:
    return str(file.relative_to(ROOT))
