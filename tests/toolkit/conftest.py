"""People, a target, files and a worker, for tests inside a whole TOM."""

from __future__ import annotations

import os
from pathlib import Path

import astropy
import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from guardian.shortcuts import assign_perm

from tests.support.sites import run_dir
from tests.support.workers import Site
from tom_nightshift import testing
from tom_nightshift.ledger.presence import Presence
from tom_nightshift.ledger.session import callers_transaction
from tom_nightshift.toolkit import processors

__all__ = ["run_dir"]

if not apps.is_installed("tom_targets"):
    collect_ignore_glob = ["test_*.py"]

M13 = Path(astropy.__file__).parent / "io/fits/hdu/compressed/tests/data/m13.fits"
PHOTOMETRY = "time,magnitude,filter,error\n59000.1,17.1,r,0.1\n59001.1,17.2,r,0.1\n59002.1,17.3,g,0.1\n"
STOCK = {
    "photometry": "tom_dataproducts.processors.photometry_processor.PhotometryProcessor",
    "spectroscopy": "tom_dataproducts.processors.spectroscopy_processor.SpectroscopyProcessor",
}


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    """Uploads go where this test alone looks."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture
def pi(db):
    return get_user_model().objects.create_user("pi", "pi@example.org", "pw")


@pytest.fixture
def collab(db):
    return get_user_model().objects.create_user("collab", "collab@example.org", "pw")


@pytest.fixture
def staff(db):
    return get_user_model().objects.create_user("staff", "staff@example.org", "pw", is_staff=True)


@pytest.fixture
def boss(db):
    return get_user_model().objects.create_superuser("boss", "boss@example.org", "pw")


@pytest.fixture
def team(db, pi):
    group = Group.objects.create(name="team")
    pi.groups.add(group)
    return group


@pytest.fixture
def target(pi):
    return make_target("M13", pi)


@pytest.fixture(params=[True, False], ids=["by target", "by object"])
def permissions_by_target(request, settings):
    """Both of TOM Toolkit's permission modes."""
    settings.TARGET_PERMISSIONS_ONLY = request.param
    return request.param


@pytest.fixture
def by_object(settings):
    settings.TARGET_PERMISSIONS_ONLY = False


@pytest.fixture
def worker(db):
    """A worker that is alive."""
    presence = Presence(1)
    with callers_transaction() as sql:
        presence.register(sql, ["default"])
    yield presence
    presence.release_lock()


@pytest.fixture
def extracting(settings):
    """As at the start of a TOM with EXTRACT_ON_UPLOAD."""
    settings.DATA_PROCESSORS = processors.deferring(STOCK) | {"fits_file": processors.SOURCE_EXTRACTION}


@pytest.fixture
def site(transactional_db, run_dir, tmp_path, media):
    """The TOM's processes, on the test's database and with the test's uploads."""
    ours = {
        "DJANGO_SETTINGS_MODULE": "tests.settings_tom_e2e",
        "NIGHTSHIFT_TEST_MEDIA": str(media),
        "PYTHONWARNINGS": "ignore",  # TOM's are not ours to mend
    }
    with testing.waiting():
        yield Site(tmp_path, run_dir, ours)


def make_target(name, *people):
    from tom_targets.models import Target

    made = Target.objects.create(name=name, type="SIDEREAL", ra=250.4, dec=36.5, permissions="PRIVATE")
    for person in people:
        assign_perm("tom_targets.view_target", person, made)
    return made


def make_product(target, name="points.csv", content=PHOTOMETRY, data_type="photometry"):
    from tom_dataproducts.models import DataProduct

    raw = content.encode() if isinstance(content, str) else content
    return DataProduct.objects.create(
        target=target, data=ContentFile(raw, name=name), data_product_type=data_type
    )


def upload(client, target, name="points.csv", content=PHOTOMETRY, data_type="photometry", groups=()):
    """Upload as the form on the target's page does. The messages of the next page."""
    raw = content.encode() if isinstance(content, str) else content
    answer = client.post(
        reverse("tom_dataproducts:upload"),
        {
            "target": target.pk,
            "files": SimpleUploadedFile(name, raw),
            "data_product_type": data_type,
            "referrer": "/",
            "groups": [group.pk for group in groups],
        },
    )
    assert answer.status_code == 302, answer.content
    return [str(message) for message in answer.wsgi_request._messages]


def files_in(folder):
    return sorted(name for _, _, names in os.walk(folder) for name in names)
