"""The job that reads an upload."""

from __future__ import annotations

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from dramatiq.middleware import Interrupt
from guardian.shortcuts import assign_perm
from tom_dataproducts.models import DataProduct, PhotometryReducedDatum
from tom_dataproducts.processors.photometry_processor import PhotometryProcessor
from tom_targets.models import PersistentShare

from tests.toolkit.conftest import make_product
from tom_nightshift import modes, testing
from tom_nightshift.exceptions import TaskError
from tom_nightshift.ledger.attempt import current
from tom_nightshift.models import Job
from tom_nightshift.toolkit import rights
from tom_nightshift.toolkit.tasks import process_upload

pytestmark = [pytest.mark.tom, pytest.mark.django_db]


def run(product, owner=None):
    with testing.eager():
        process_upload.send_with_options(args=(product.pk,), owner=owner)
    return Job.objects.latest("id")


def test_it_reads_what_is_there(target):
    job = run(make_product(target))
    assert (job.state, job.result["value"]["summary"]) == ("succeeded", "3 photometry points read")
    assert job.result["value"]["facts"] == {"photometry points": "3"}


def test_it_counts_what_is_there_and_not_what_was_tried(target):
    product = make_product(target)
    run(product)
    assert run(product).result["value"]["summary"] == "3 photometry points read"
    assert PhotometryReducedDatum.objects.count() == 3


def test_a_bad_file_fails_in_tom_toolkit_s_words_and_stays(target):
    product = make_product(target, content="this,is\nno,photometry\n")
    job = run(product)
    assert job.state == "failed"
    assert job.error == f"There was a problem processing your file: {product} -- Error: 'time'"
    assert DataProduct.objects.filter(pk=product.pk).exists()


def test_a_file_of_the_wrong_format_fails_in_tom_toolkit_s_words(target):
    product = make_product(target, name="points.pdf")
    assert run(product).error == f"File format invalid for file {product} -- error was Unsupported file type"


def test_an_upload_that_has_gone_stops_the_job(target):
    product = make_product(target)
    key = product.pk
    product.delete()
    product.pk = key
    job = run(product)
    assert (job.state, job.error) == ("stopped", "the upload was withdrawn")


@pytest.mark.parametrize("how", ["and fails", "and goes on"])
def test_an_upload_that_goes_while_it_is_read_stops_the_job(target, monkeypatch, how):
    def take_away(self, product):
        DataProduct.objects.filter(pk=product.pk).delete()
        if how == "and fails":
            raise OSError("no such file")
        return []

    monkeypatch.setattr(PhotometryProcessor, "process_data", take_away)
    job = run(make_product(target))
    assert (job.state, job.error) == ("stopped", "the upload was withdrawn")


def test_a_file_that_is_not_on_the_worker_is_explained(target):
    product = make_product(target)
    default_storage.delete(product.data.name)
    job = run(product)
    assert job.state == "failed"
    assert "points.csv is not there" in job.error
    assert "MEDIA_ROOT" in job.error


def test_owner_and_groups_may_see_what_was_read(target, by_object, pi, collab, team):
    product = make_product(target)
    assign_perm("tom_dataproducts.view_dataproduct", team, product)
    assert run(product, owner=collab).owner == collab
    assert run(product, owner=collab).error == ""  # once more changes nothing
    for point in PhotometryReducedDatum.objects.all():
        assert pi.has_perm("tom_dataproducts.view_photometryreduceddatum", point)
        assert collab.has_perm("tom_dataproducts.view_photometryreduceddatum", point)


def test_others_may_not(target, by_object, pi, collab):
    run(make_product(target), owner=pi)
    point = PhotometryReducedDatum.objects.first()
    assert not collab.has_perm("tom_dataproducts.view_photometryreduceddatum", point)


def ask_to_stop():
    """As somebody does on the job's page while the task runs."""
    current.get().stop_requested = True


def run_and_be_stopped(product, monkeypatch, then=lambda: None):
    real = PhotometryProcessor.process_data

    def stopped_meanwhile(self, product):
        data = real(self, product)
        ask_to_stop()
        then()
        return data

    monkeypatch.setattr(PhotometryProcessor, "process_data", stopped_meanwhile)
    return run(product)


def test_a_stop_while_the_file_is_read_saves_nothing(target, monkeypatch):
    job = run_and_be_stopped(make_product(target), monkeypatch)
    assert (job.state, PhotometryReducedDatum.objects.count()) == ("stopped", 0)


def test_an_error_while_a_stop_was_asked_ends_as_stopped(target, monkeypatch):
    def fail():
        raise ValueError("it was in the middle of something")

    job = run_and_be_stopped(make_product(target), monkeypatch, fail)
    assert (job.state, PhotometryReducedDatum.objects.count()) == ("stopped", 0)


def test_a_stop_once_the_points_are_being_saved_is_too_late(target, by_object, pi, monkeypatch):
    monkeypatch.setattr(rights, "grant_data", after(rights.grant_data, ask_to_stop))
    job = run(make_product(target), owner=pi)
    assert (job.state, job.result["value"]["summary"]) == ("succeeded", "3 photometry points read")
    assert pi.has_perm("tom_dataproducts.view_photometryreduceddatum", PhotometryReducedDatum.objects.first())


class Raised(Interrupt):
    """What the engine raises in the thread of a job that does not hear that it was stopped."""


@pytest.mark.parametrize("error", [Raised, ValueError])
def test_points_are_not_saved_without_their_rights(target, monkeypatch, error):
    def fail(*_):
        assert PhotometryReducedDatum.objects.count() == 3
        raise error("between the points and the rights")

    monkeypatch.setattr(rights, "grant_data", fail)
    with pytest.raises((error, TaskError)):
        call(make_product(target))
    assert PhotometryReducedDatum.objects.count() == 0


def test_a_file_is_read_before_the_transaction_begins(target, monkeypatch):
    inside = []
    real = PhotometryProcessor.process_data
    depth = len(connection.savepoint_ids)

    def look(self, product):
        inside.append(len(connection.savepoint_ids) - depth)
        return real(self, product)

    monkeypatch.setattr(PhotometryProcessor, "process_data", look)
    monkeypatch.setattr(rights, "grant_data", lambda *_: inside.append(len(connection.savepoint_ids) - depth))
    call(make_product(target))
    assert inside == [0, 1]


def test_what_is_sent_to_other_sites_as_it_comes_is_saved_without_a_transaction(target, pi, monkeypatch):
    PersistentShare.objects.create(target=target, destination="nowhere", user=pi)
    depth, inside = len(connection.savepoint_ids), []
    monkeypatch.setattr(rights, "grant_data", lambda *_: inside.append(len(connection.savepoint_ids) - depth))
    call(make_product(target))
    assert inside == [0]


def after(real, then):
    def both(*args):
        real(*args)
        then()

    return both


def call(product):
    """The task as a plain function: what it raises comes out, and the stand-in reads as inside a job."""
    with modes.use("off"):
        process_upload.fn(product.pk)
