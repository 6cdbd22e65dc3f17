"""Runs the examples in README.md and docs/ as tests."""

from __future__ import annotations

from collections.abc import Iterator
from doctest import ELLIPSIS
from typing import Any

import pytest
from django.apps import apps
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    fixtures=["documents_database"],
).pytest()


@pytest.fixture
def documents_database(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """A database whose rows live from the first example of a document to its last."""
    with django_db_blocker.unblock():
        yield
        if _is_last_of_document(request.node, request.session.items):
            apps.get_model("tom_nightshift", "Job").objects.all().delete()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Undo pytest-randomly inside documents: an example needs the ones above it. And say that they need a
    database: pytest-django makes none that no mark asks for.
    """
    places = [place for place, item in enumerate(items) if isinstance(item, SybilItem)]
    in_order = sorted((items[place] for place in places), key=_place_in_document)
    for place, item in zip(places, in_order, strict=True):
        item.add_marker("django_db")
        items[place] = item


def _is_last_of_document(node: pytest.Item, items: list[pytest.Item]) -> bool:
    return _place_in_document(node) == max(
        _place_in_document(item) for item in items if isinstance(item, SybilItem) and item.path == node.path
    )


def _place_in_document(item: pytest.Item) -> tuple[str, int]:
    assert isinstance(item, SybilItem)
    return str(item.path), item.example.line
