"""The classes that stand in for the TOM's processors."""

from __future__ import annotations

import sys
import types
from importlib import import_module

import pytest
from tom_dataproducts.data_processor import DataProcessor, run_data_processor
from tom_dataproducts.processors.photometry_processor import PhotometryProcessor

from tests.toolkit.conftest import STOCK, make_product
from tom_nightshift.toolkit import processors

pytestmark = [pytest.mark.tom, pytest.mark.django_db]


def find(path):
    """As TOM Toolkit finds a processor."""
    module_name, class_name = path.rsplit(".", 1)
    return getattr(import_module(module_name), class_name)


@pytest.fixture
def their_module(monkeypatch):
    """A TOM's own module of processors."""
    module = types.ModuleType("their_processors")
    monkeypatch.setitem(sys.modules, "their_processors", module)
    return module


def test_the_stand_in_is_a_subclass_of_the_tom_s_own():
    deferred = find(processors.deferring(STOCK)["photometry"])
    assert issubclass(deferred, PhotometryProcessor)
    assert deferred is not PhotometryProcessor


def test_the_tom_itself_got_stand_ins_at_start_up(settings):
    assert issubclass(find(settings.DATA_PROCESSORS["photometry"]), PhotometryProcessor)
    assert settings.DATA_PROCESSORS["photometry"] != STOCK["photometry"]
    assert "fits_file" not in settings.DATA_PROCESSORS


def test_what_the_processor_says_of_its_type_is_inherited(their_module):
    class Theirs(DataProcessor):  # type: ignore[misc]  # TOM Toolkit carries no types
        def data_type_override(self):
            return "photometry"

    their_module.Theirs = Theirs
    assert (
        find(processors.deferring({"ours": "their_processors.Theirs"})["ours"])().data_type_override()
        == "photometry"
    )


@pytest.mark.parametrize("name", ["a.b", "two words", "é/ü", "", "with-dash", "1st"])
def test_any_name_of_a_type_will_do(name):
    path = processors.deferring({name: STOCK["photometry"]})[name]
    assert find(path).data_type == name


def test_names_that_look_alike_stay_apart():
    found = processors.deferring({"a.b": STOCK["photometry"], "a_2e_b": STOCK["spectroscopy"]})
    assert find(found["a.b"]).__name__ == "PhotometryProcessor"
    assert find(found["a_2e_b"]).__name__ == "SpectroscopyProcessor"


def test_stand_ins_are_not_deferred_again():
    once = processors.deferring(STOCK)
    assert processors.deferring(once) == once


@pytest.mark.parametrize("path", ["no_such_module.Processor", "tom_dataproducts.data_processor.NoSuch"])
def test_a_path_that_cannot_be_imported_fails_as_without_us(settings, target, path):
    product = make_product(target)
    said = []
    for value in (path, processors.deferring({"photometry": path})["photometry"]):
        settings.DATA_PROCESSORS = {"photometry": value}
        with pytest.raises(ImportError) as caught:
            run_data_processor(product)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert path in said[1]


def test_a_factory_stays_what_it_is(their_module):
    their_module.make = lambda: PhotometryProcessor()
    assert find(processors.deferring({"x": "their_processors.make"})["x"]) is their_module.make


def test_what_is_no_path_is_left_alone():
    left = {"x": None, "y": "nodots"}
    assert processors.deferring(left) == left


def test_there_are_no_other_names_in_the_module():
    with pytest.raises(AttributeError, match="Deferred__nothing"):
        processors.Deferred__nothing  # noqa: B018
