"""What the next try of an extraction takes over from the one before, and what it does not.

A try has nothing of the one before but its row and what is in files, as in another process;
``test_extract_killed`` kills real ones.
"""

from __future__ import annotations

import errno
from copy import deepcopy

import pytest
from django.core.files.base import ContentFile
from tom_dataproducts.models import DataProduct

from tests.toolkit.conftest import make_product
from tests.toolkit.test_extract import mosaic
from tom_nightshift import testing
from tom_nightshift.astro.science import sources
from tom_nightshift.astro.tasks import extract, parts
from tom_nightshift.exceptions import TaskError
from tom_nightshift.ledger.attempt import Attempt, current
from tom_nightshift.models import Job

pytestmark = [pytest.mark.tom, pytest.mark.django_db]

CCDS = 4


class Killed(BaseException):
    """Ends a try as the end of its process does: nothing of ours is asked."""


class Tries:
    """The tries of one job."""

    def __init__(self, product):
        self.product = product
        with testing.waiting():
            extract.extract_sources.send(product.pk)
        self.job = Job.objects.latest("id")
        self.number = 0
        self.row: tuple[list[dict], dict] = [], {}
        self.searched = []
        self.killed_at = self.refused = None

    def again(self, killed_at=None, **arguments):
        """One more try; what it said, how it ended, and the CCDs that it searched."""
        self.number += 1
        self.searched, self.killed_at = [], killed_at
        attempt = Attempt(self.job.pk, self.number, "t", "default", message_id=str(self.job.message_id))
        attempt.reports.stages, attempt.reports.saved = self.row
        token = current.set(attempt)
        try:
            extract.extract_sources.fn(self.product.pk, **arguments)
        except Killed:
            pass
        finally:
            current.reset(token)
        done = [stage for stage in attempt.reports.stages if stage["done"]]
        self.row = deepcopy((done, attempt.reports.saved))
        said = "".join(piece.text for piece in attempt.log.take())
        return said, attempt, self.searched

    def find_sources(self, image, **how):
        if image.number == self.killed_at:
            raise Killed
        self.searched.append(image.number)
        if image.number == self.refused:
            raise TaskError("too much of it is above the threshold")
        return sources.find_sources(image, **how | {"artificial_stars": 0})

    def files(self, media):
        return sorted(media.glob(".nightshift/*/*/*"))


@pytest.fixture
def tries(target, monkeypatch):
    made = Tries(make_product(target, "mosaic.fits", mosaic(CCDS), "fits_file"))
    monkeypatch.setattr(extract, "find_sources", made.find_sources)
    return made


def catalogue():
    product = DataProduct.objects.get(product_id__contains="catalogue")
    with product.data.open() as file:
        return file.read()


def test_it_goes_on_at_the_ccd_that_was_reached(tries):
    tries.again(killed_at=3)
    said, attempt, searched = tries.again()
    assert searched == [3, 4]
    assert "CCD 1 and 2 were done by the 1st try" in said
    assert attempt.reports.done == attempt.reports.total == CCDS


def test_each_try_is_named(tries):
    tries.again(killed_at=2)
    tries.again(killed_at=4)
    said, _, searched = tries.again()
    assert searched == [4]
    assert "CCD 1 was done by the 1st try" in said
    assert "CCD 2 and 3 were done by the 2nd try" in said


def test_what_was_all_done_is_only_saved(tries, monkeypatch):
    monkeypatch.setattr(extract, "_save", lambda *_: (_ for _ in ()).throw(Killed))
    tries.again()
    monkeypatch.undo()
    monkeypatch.setattr(extract, "find_sources", tries.find_sources)
    said, _, searched = tries.again()
    assert searched == []
    assert "CCD 1 to 4 were done by the 1st try" in said


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:900] + bytes([whole[900] ^ 1]) + whole[901:],
        lambda whole: b"not what it was",
    ],
    ids=["empty", "half", "one bit", "something else"],
)
def test_a_file_that_is_damaged_is_done_again(tries, media, damage):
    tries.again()
    once = catalogue()
    second = tries.files(media)[1]
    second.write_bytes(damage(second.read_bytes()))
    said, _, searched = tries.again()
    assert searched == [2]
    assert "CCD 2 of 4: what was kept of it is damaged" in said
    assert "CCD 3 and 4 were done by the 1st try" in said
    assert catalogue() == once


def test_another_threshold_has_nothing_to_go_on_from(tries):
    tries.again(killed_at=3)
    assert tries.again(threshold=5.0)[2] == [1, 2, 3, 4]


def test_another_version_has_nothing_to_go_on_from(tries, monkeypatch):
    tries.again(killed_at=3)
    monkeypatch.setattr(extract, "VERSION", "another")
    assert tries.again()[2] == [1, 2, 3, 4]


def test_an_upload_that_was_replaced_has_nothing_to_go_on_from(tries):
    tries.again(killed_at=3)
    storage, name = tries.product.data.storage, tries.product.data.name
    with tries.product.data.open() as file:
        content = bytearray(file.read())
    content[-3000] ^= 1
    storage.delete(name)
    assert storage.save(name, ContentFile(bytes(content))) == name
    assert tries.again()[2] == [1, 2, 3, 4]


def test_elsewhere_there_is_nothing_to_go_on_from_and_no_step_is_shown_as_done(tries, settings, tmp_path):
    tries.again(killed_at=4)
    settings.NIGHTSHIFT = {"WORK_DIR": str(tmp_path / "elsewhere")}
    _, attempt, searched = tries.again(killed_at=2)
    assert searched == [1]
    assert [stage["name"] for stage in attempt.reports.stages] == ["CCD 1 of 4", "CCD 2 of 4"]


def test_a_full_disk_costs_only_what_would_have_been_saved(tries, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parts, "whole_file", full)
    said, _, _ = tries.again()
    assert "CCD 1 of 4: it cannot be kept (OSError: [Errno 28] No space left on device)" in said
    assert catalogue()
    assert tries.again()[2] == [1, 2, 3, 4]


def test_a_ccd_that_was_refused_is_refused_again(tries):
    tries.refused = 2
    tries.again(killed_at=4)
    said, attempt, searched = tries.again()
    assert searched == [2, 4]
    assert attempt.warnings == ["CCD 2 of 4: too much of it is above the threshold"]
    assert said.index("CCD 1 was done") < said.index("WARNING: CCD 2 of 4") < said.index("CCD 3 was done")
