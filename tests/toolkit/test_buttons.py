"""The button that finds sources in an image."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from guardian.shortcuts import assign_perm

from tests.toolkit.conftest import make_product
from tom_nightshift import testing
from tom_nightshift.models import Job
from tom_nightshift.toolkit import buttons
from tom_nightshift.web.offers import find_offer

pytestmark = [pytest.mark.tom, pytest.mark.django_db]

FITS_NAMES = ["a.fits", "b.FIT", "c.fts", "d.fits.fz", "e.fz", "f.fit.gz"]


def test_it_is_offered():
    assert find_offer("find-sources") is buttons.FIND_SOURCES


def test_fits_files_can_be_chosen_the_newest_first(target, pi):
    made = [make_product(target, name, "x", "") for name in FITS_NAMES]
    for other in ("points.csv", "table.csv.gz", "fits.txt"):
        make_product(target, other, "x", "")
    assert [choice.key for choice in buttons.choices(target.pk, pi)] == [
        product.pk for product in reversed(made)
    ]


def test_what_was_uploaded_as_a_fits_file_can_be_chosen_whatever_its_name(target, pi):
    product = make_product(target, "image.dat", "x", "fits_file")
    assert [choice.label for choice in buttons.choices(target.pk, pi)] == ["image.dat"]
    assert product


def test_only_what_may_be_seen_can_be_chosen(target, pi, collab):
    product = make_product(target, "a.fits", "x", "")
    for somebody in (collab, AnonymousUser()):
        assert buttons.choices(target.pk, somebody) == []
        with pytest.raises(PermissionDenied):
            buttons.ask(product.pk, somebody)


def test_by_object_the_product_s_own_rights_decide(target, pi, by_object):
    product = make_product(target, "a.fits", "x", "")
    assert buttons.choices(target.pk, pi) == []
    assign_perm("tom_dataproducts.view_dataproduct", pi, product)
    assert [choice.key for choice in buttons.choices(target.pk, pi)] == [product.pk]


def test_it_asks_for_the_job_in_the_name_of_who_pressed_it(target, pi):
    product = make_product(target, "notes.fits", "hello", "")
    with testing.waiting():
        job_id = buttons.ask(product.pk, pi)
    job = Job.objects.get(pk=job_id)
    assert (job.owner, job.title, job.target_id) == (pi, "Find sources in notes.fits", target.pk)
    testing.drain()
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", 'notes.fits is not a FITS file: it starts with "hello"')
