"""Runs the examples in README.md and docs/ as tests."""

from __future__ import annotations

from doctest import ELLIPSIS

import pytest
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
    patterns=["README.md", "docs/**/*.md"],
).pytest()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Undo pytest-randomly inside documents: an example needs the ones above it."""
    places = [place for place, item in enumerate(items) if isinstance(item, SybilItem)]
    in_order = sorted((items[place] for place in places), key=_place_in_document)
    for place, item in zip(places, in_order, strict=True):
        items[place] = item


def _place_in_document(item: pytest.Item) -> tuple[str, int]:
    assert isinstance(item, SybilItem)
    return str(item.path), item.example.line
