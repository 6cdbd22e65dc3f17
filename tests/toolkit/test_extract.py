"""Finding the sources in an upload, from the upload to the products, on the real M13 frame."""

from __future__ import annotations

import gc
import io
import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from django.core.files.storage import default_storage
from guardian.shortcuts import assign_perm
from PIL import Image
from tom_dataproducts.models import DataProduct

from tests.toolkit.conftest import M13, files_in, make_product, upload
from tom_nightshift import testing
from tom_nightshift.astro.science import sources
from tom_nightshift.astro.tasks import extract
from tom_nightshift.models import Job, Picture
from tom_nightshift.toolkit import products

pytestmark = [pytest.mark.tom, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Without artificial stars, which take most of the time and are tested with the science."""
    whole = sources.find_sources
    monkeypatch.setattr(extract, "find_sources", lambda image, **how: whole(image, artificial_stars=0, **how))


@pytest.fixture
def m13(target):
    return make_product(target, "m13.fits", M13.read_bytes(), "fits_file")


def run(product, owner=None, **arguments):
    with testing.eager():
        extract.extract_sources.send_with_options(args=(product.pk,), kwargs=arguments, owner=owner)
    return Job.objects.latest("id")


def written(*hdus):
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file)
    return file.getvalue()


def starry(seed, sides=(64, 64)):
    pixels = np.random.default_rng(seed).normal(100, 3, sides)
    for y, x in ((20, 20), (40, 30), (50, 50)):
        pixels[y - 2 : y + 3, x - 2 : x + 3] += 300 * np.exp(
            -(np.arange(-2, 3)[:, None] ** 2 + np.arange(-2, 3) ** 2) / 2
        )
    return pixels.astype("float32")


def mosaic(count=3, sides=(64, 64)):
    ccds = [fits.ImageHDU(starry(number, sides), name=f"SCI{number}") for number in range(count)]
    return written(fits.PrimaryHDU(), *ccds)


def test_269_sources_in_m13(m13, pi):
    job = run(m13, owner=pi)
    assert job.state == "succeeded", job.error
    value = job.result["value"]
    assert value["summary"] == "269 sources found in m13.fits"
    assert value["sources"] == 269
    assert any("not linear" in words for words in value["remarks"])
    assert (value["table"]["total"], len(value["table"]["rows"])) == (269, 15)
    assert all(column["title"] for column in value["table"]["columns"])
    flux = [column["name"] for column in value["table"]["columns"]].index("flux_kron")
    assert [row[flux] for row in value["table"]["rows"]] == sorted(
        (r[flux] for r in value["table"]["rows"]), reverse=True
    )


def test_what_is_kept_with_the_job_is_small_and_plain(m13):
    job = run(m13)
    assert len(json.dumps(job.result, allow_nan=False)) < 60_000


def test_the_catalogue_is_a_product_of_the_target(m13, target):
    job = run(m13)
    made = DataProduct.objects.get(pk=job.result["made"][0]["pk"])
    assert (made.get_file_name(), made.data_product_type, made.target_id) == (
        "m13_sources.ecsv",
        "",
        target.pk,
    )
    with made.data.open() as file:
        table = Table.read(file.read().decode(), format="ascii.ecsv")
    assert len(table) == 269
    assert table["ra"].unit == "deg"


def test_the_regions_are_a_product_of_the_target(m13):
    job = run(m13)
    made = DataProduct.objects.get(pk=job.result["made"][1]["pk"])
    assert made.get_file_name() == "m13_sources.reg"
    with made.data.open() as file:
        assert file.read().startswith(b"# Region file format: DS9")


def test_what_is_made_is_linked_for_the_owner(m13, pi, collab):
    from tom_nightshift.web import access

    made = run(m13, owner=pi).result["made"]
    assert [link.text for link in access.made_links(made, pi)] == [
        "Catalogue (ECSV): m13_sources.ecsv", "Regions for DS9: m13_sources.reg",
    ]  # fmt: skip
    assert access.made_links(made, collab) == []


def test_the_picture_belongs_to_the_job(m13):
    picture = run(m13).pictures.get()
    shown = Image.open(io.BytesIO(bytes(picture.data)))
    assert (picture.width, picture.height) == shown.size
    assert picture.content_type == "image/jpeg"
    assert len(picture.data) < 2_000_000
    assert picture.caption == "m13.fits: 269 sources"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # TOM Toolkit's get_preview leaves its file open
def test_the_upload_gets_a_thumbnail_that_tom_toolkit_shows(m13):
    run(m13)
    product = DataProduct.objects.get(pk=m13.pk)
    with product.thumbnail.open() as file:
        small = Image.open(file)
        assert (small.format, small.size) == ("PNG", (200, 200))
    name = product.thumbnail.name
    assert DataProduct.objects.get(pk=m13.pk).get_preview() == product.thumbnail.url
    assert DataProduct.objects.get(pk=m13.pk).thumbnail.name == name  # it was not drawn anew
    gc.collect()


def test_again_replaces_and_does_not_double(m13, media):
    first, second = run(m13), run(m13)
    assert [made["pk"] for made in first.result["made"]] == [made["pk"] for made in second.result["made"]]
    assert DataProduct.objects.count() == 3
    for made in DataProduct.objects.all():
        assert default_storage.exists(made.data.name)


@pytest.mark.django_db(transaction=True)
def test_files_that_were_replaced_are_gone(m13, media):
    run(m13)
    once = files_in(media)
    run(m13)
    assert len(files_in(media)) == len(once) == 4


def test_another_threshold_is_another_question(m13):
    run(m13)
    run(m13, threshold=5.0)
    assert DataProduct.objects.count() == 5


def test_an_attempt_that_is_made_again_keeps_one_picture(m13, monkeypatch):
    kept = extract._keep_picture

    def twice(*args):
        kept(*args)
        kept(*args)

    monkeypatch.setattr(extract, "_keep_picture", twice)
    assert run(m13).pictures.count() == 1


def test_notes_fits_is_not_a_fits_file(target):
    product = make_product(target, "notes.fits", "hello\nthis is a text\n", "fits_file")
    for asked in (True, False):
        job = run(product, asked=asked)
        assert (job.state, job.error) == ("failed", 'notes.fits is not a FITS file: it starts with "hello"')
    assert DataProduct.objects.filter(pk=product.pk).exists()


@pytest.mark.parametrize(("asked", "state"), [(True, "failed"), (False, "succeeded")])
def test_a_file_without_an_image_is_a_failure_only_for_who_asked(target, asked, state):
    job = run(make_product(target, "empty.fits", written(fits.PrimaryHDU()), "fits_file"), asked=asked)
    assert job.state == state
    said = job.error if asked else job.result["value"]["summary"]
    assert said == "no image in this file, nothing to extract"


def test_an_image_of_nan_fails(target):
    blank = written(fits.PrimaryHDU(np.full((20, 20), np.nan, "float32")))
    job = run(make_product(target, "blank.fits", blank, "fits_file"))
    assert job.state == "failed"
    assert "every pixel is NaN" in job.error


def test_an_empty_file_fails(target):
    job = run(make_product(target, "none.fits", b"", "fits_file"))
    assert job.state == "failed"
    assert "is empty" in job.error


def test_an_empty_sky_is_a_result(target):
    flat = written(fits.PrimaryHDU(np.random.default_rng(1).normal(100, 1, (64, 64)).astype("float32")))
    job = run(make_product(target, "flat.fits", flat, "fits_file"), threshold=50.0)
    assert (job.state, job.result["value"]["summary"]) == ("succeeded", "no sources found in flat.fits")
    assert DataProduct.objects.count() == 1


def test_each_ccd_is_a_stage_and_the_bar_moves_within_it(target, monkeypatch):
    said = []
    monkeypatch.setattr(
        extract, "progress", lambda done, total=None, note="": said.append((done, total, note))
    )
    job = run(make_product(target, "mosaic.fits.fz", mosaic(), "fits_file"))
    assert job.state == "succeeded", job.error
    stages = [stage["name"] for stage in job.stages]
    assert stages[:3] == ["CCD 1 of 3", "CCD 2 of 3", "CCD 3 of 3"]
    within = [done for done, total, note in said if note.startswith("CCD 2 of 3")]
    assert within[0] == 1
    assert any(1 < done < 2 for done in within)
    assert any(note.endswith("sources so far") for _, _, note in said)
    assert [done for done, _, _ in said] == sorted(done for done, _, _ in said)
    assert job.result["value"]["facts"]["Images"] == "3"
    log = "".join(job.logs.values_list("text", flat=True)) if hasattr(job, "logs") else ""
    assert not log or "so far" in log


def test_a_new_attempt_shows_no_stage_as_done_that_it_has_yet_to_do(target):
    product = make_product(target, "mosaic.fits", mosaic(), "fits_file")
    with testing.waiting():
        extract.extract_sources.send(product.pk)
    stale = [{"name": f"CCD {number} of 3", "done": True, "seconds": 100.0} for number in (1, 2, 3)]
    Job.objects.update(stages=stale, saved={"steps": {"CCD 3 of 3": None}})
    testing.drain()
    assert all(stage["seconds"] < 100 for stage in Job.objects.get().stages)


def test_one_ccd_that_cannot_be_searched_is_a_warning(target, monkeypatch):
    from tom_nightshift.exceptions import TaskError

    rest = sources.find_sources

    def refuses(image, **how):
        if image.number == 2:
            raise TaskError("too much of it is above the threshold")
        return rest(image, **how)

    monkeypatch.setattr(extract, "find_sources", refuses)
    job = run(make_product(target, "mosaic.fits", mosaic(), "fits_file"))
    assert (job.state, job.error) == ("warned", "CCD 2 of 3: too much of it is above the threshold")


def test_an_upload_that_has_gone_stops_it(m13):
    key = m13.pk
    m13.delete()
    m13.pk = key
    assert (run(m13).state, Job.objects.get().error) == ("stopped", "the upload was withdrawn")


@pytest.mark.parametrize("moment", ["find_sources", "join_catalogues"])
def test_an_upload_that_goes_meanwhile_stops_it_and_leaves_nothing(m13, monkeypatch, media, moment):
    whole = getattr(extract, moment)

    def and_gone(*args, **kwargs):
        DataProduct.objects.filter(pk=m13.pk).delete()
        return whole(*args, **kwargs)

    monkeypatch.setattr(extract, moment, and_gone)
    job = run(m13)
    assert (job.state, job.error) == ("stopped", "the upload was withdrawn")
    assert [made.get_file_name() for made in DataProduct.objects.all()] in (
        [],
        ["m13.fits"],
    )  # eager: rolled back
    assert not Picture.objects.exists()
    assert files_in(media) == ["m13.fits"]


def test_a_file_that_is_not_on_the_worker_is_explained(m13):
    default_storage.delete(m13.data.name)
    job = run(m13)
    assert job.state == "failed"
    assert "MEDIA_ROOT" in job.error


def test_by_object_owner_and_groups_get_their_rights(m13, by_object, pi, collab, team):
    for right in ("view", "delete"):
        assign_perm(f"tom_dataproducts.{right}_dataproduct", team, m13)
    job = run(m13, owner=collab)
    for made in job.result["made"]:
        product = DataProduct.objects.get(pk=made["pk"])
        for right in ("view", "delete"):
            assert pi.has_perm(f"tom_dataproducts.{right}_dataproduct", product)
            assert collab.has_perm(f"tom_dataproducts.{right}_dataproduct", product)


def test_by_target_everything_follows_the_target(m13, pi, collab):
    from tom_nightshift.toolkit.rules import visible_products

    run(m13, owner=pi)
    assert visible_products(pi).count() == 3
    assert visible_products(collab).count() == 0


def test_an_upload_starts_it_where_that_is_asked_for(client, pi, target, extracting, worker):
    client.force_login(pi)
    with testing.waiting():
        said = upload(client, target, "m13.fits", M13.read_bytes(), "fits_file")
        assert Job.objects.get().title == "Find sources in m13.fits"
        assert "Being read in the background: watch it" in said[0]
        testing.drain()
    assert Job.objects.get().result["value"]["sources"] == 269


def test_switched_off_it_is_done_in_the_request(client, pi, target, extracting):
    client.force_login(pi)
    said = upload(client, target, "m13.fits", M13.read_bytes(), "fits_file")
    assert Job.objects.get().result["value"]["sources"] == 269
    assert said == ["Successfully uploaded: m13/none/m13.fits"]


@pytest.mark.parametrize(
    ("uploaded", "made"),
    [
        ("m13.fits", "m13_x"), ("a.b.fits.fz", "a.b_x"), ("M 13.FIT.gz", "M_13_x"), ("fits.fits", "image_x"),
        ("my_fits_image.fts", "my__image_x"), ("noending", "noending_x"),
    ],
)  # fmt: skip
def test_names_of_what_is_made_are_without_fits(target, uploaded, made):
    assert products.name_beside(make_product(target, uploaded), "_x") == made


@pytest.mark.parametrize("sides", [(50, 50), (20, 200), (200, 20), (200, 200), (300, 100)])
def test_thumbnails_are_as_wide_as_tom_toolkit_shows_them(sides):
    file = io.BytesIO()
    Image.new("L", sides).save(file, "PNG")
    assert Image.open(io.BytesIO(products.as_wide_as_shown(file.getvalue()))).width == 200
