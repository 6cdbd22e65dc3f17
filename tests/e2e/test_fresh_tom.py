"""Adding the line must never make a TOM worse: in a fresh site made by TOM Toolkit's own tom_setup."""

from __future__ import annotations

import json
from pathlib import Path

import astropy
import pytest

from tests.support.toms import as_tom_setup_leaves_it, migrated, site, with_our_tables

__all__ = ["as_tom_setup_leaves_it", "migrated", "site", "with_our_tables"]

pytestmark = [pytest.mark.e2e, pytest.mark.tom, pytest.mark.timeout(1800)]

M13 = Path(astropy.__file__).parent / "io/fits/hdu/compressed/tests/data/m13.fits"
PAGES = [
    "/",
    "/accounts/login/",
    "/targets/",
    "/targets/1/",
    "/dataproducts/data/",
    "/observations/list/",
    "/users/",
]

BEGIN = """
import json, os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "mytom.settings"
django.setup()
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

def visitor(name=None):
    client = Client(HTTP_HOST="localhost", raise_request_exception=False)
    if name:
        client.force_login(User.objects.get(username=name))
    return client

def upload(client, name, content, data_type):
    file = SimpleUploadedFile(name, content)
    form = {"target": 1, "files": file, "data_product_type": data_type, "referrer": "/"}
    answer = client.post("/dataproducts/data/upload/", form)
    return answer.status_code, [str(message) for message in answer.wsgi_request._messages]
"""

VISIT = (
    BEGIN
    + """
pages = json.loads(sys.argv[1])
said = {f"{name} {page}": visitor(name).get(page).status_code for name in (None, "boss") for page in pages}
print("ANSWER" + json.dumps(said))
"""
)

UPLOAD = (
    BEGIN
    + """
from tom_dataproducts.models import DataProduct, PhotometryReducedDatum
name, path, data_type = sys.argv[1:]
status, said = upload(visitor("boss"), name, open(path, "rb").read(), data_type)
print("ANSWER" + json.dumps({
    "status": status, "said": said, "points": PhotometryReducedDatum.objects.count(),
    "products": sorted(os.path.basename(product.data.name) for product in DataProduct.objects.all()),
}))
"""
)

ANOTHER_BOSS = """
from django.contrib.auth.models import User
User.objects.get(username="boss").delete()
User.objects.create_superuser("boss", "boss@example.org", "pw")
"""

THEIR_TESTS = """
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase
from tom_dataproducts.models import DataProduct, PhotometryReducedDatum
from tom_targets.models import Target


class TestUpload(TestCase):
    def setUp(self):
        self.client.force_login(User.objects.create_superuser("me", "me@example.org", "pw"))
        self.target = Target.objects.create(name="M3", type="SIDEREAL", ra=1, dec=1)

    def upload(self, content):
        file = SimpleUploadedFile("points.csv", content)
        form = {"target": self.target.pk, "files": file, "data_product_type": "photometry", "referrer": "/"}
        answer = self.client.post("/dataproducts/data/upload/", form)
        return [str(message) for message in answer.wsgi_request._messages]

    def test_large_and_at_once(self):
        lines = "".join(f"{59000 + n / 1000},17.1,r,0.1,{'x' * 9000}\\n" for n in range(120)).encode()
        said = self.upload(b"time,magnitude,filter,error,note\\n" + lines)
        self.assertEqual(PhotometryReducedDatum.objects.count(), 120)
        self.assertEqual(len(said), 1)

    def test_bad_and_refused(self):
        said = self.upload(b"this,is\\nno,photometry\\n" + b"x,y\\n" * 300000)
        self.assertIn("There was a problem processing your file", said[0])
        self.assertFalse(DataProduct.objects.exists())
"""


@pytest.fixture
def points(tmp_path) -> str:
    file = tmp_path / "points.csv"
    file.write_text(
        "time,magnitude,filter,error\n59000.1,17.1,r,0.1\n59001.1,17.2,r,0.1\n59002.1,17.3,g,0.1\n"
    )
    return str(file)


def test_before_migrate_every_page_answers_as_without_the_line(site):
    without = site.ask(VISIT, json.dumps(PAGES))
    assert without["boss /users/"] == 200  # somebody is logged in
    assert {page: status for page, status in without.items() if status >= 400} == {}
    site.add_the_line()
    assert site.ask(VISIT, json.dumps(PAGES)) == without


def test_before_migrate_uploads_are_read_in_the_request(site, points):
    site.add_the_line(READ_IN_REQUEST=10, EXTRACT_ON_UPLOAD=True)
    answer = site.ask(UPLOAD, "points.csv", points, "photometry")
    assert (answer["status"], answer["points"]) == (302, 3)
    assert "Successfully uploaded" in answer["said"][-1]
    answer = site.ask(UPLOAD, "m13.fits", str(M13), "fits_file")
    assert (answer["status"], answer["products"]) == (302, ["m13.fits", "points.csv"])


def test_without_a_worker_uploads_are_read_in_the_request(migrated, points):
    migrated.add_the_line(READ_IN_REQUEST=10)
    answer = migrated.ask(UPLOAD, "points.csv", points, "photometry")
    assert (answer["status"], answer["points"]) == (302, 3)
    assert any("No worker is running" in words for words in answer["said"])


def test_the_tom_s_own_tests_pass_unchanged(site):
    (site.folder / "custom_code" / "tests.py").write_text(THEIR_TESTS)
    assert "Ran 2 tests" in site.run("manage.py", "test", "custom_code").stderr
    site.add_the_line()
    assert "Ran 2 tests" in site.run("manage.py", "test", "custom_code").stderr


def test_the_line_can_be_taken_out_of_a_used_tom(migrated, points):
    migrated.add_the_line(MODE="eager", READ_IN_REQUEST=10, EXTRACT_ON_UPLOAD=True)
    migrated.ask(UPLOAD, "points.csv", points, "photometry")
    made = migrated.ask(UPLOAD, "m13.fits", str(M13), "fits_file")["products"]
    assert made == ["m13.fits", "m13_sources.ecsv", "m13_sources.reg", "points.csv"]
    migrated.take_the_line_out()
    statuses = migrated.ask(VISIT, json.dumps(PAGES))
    assert {page: status for page, status in statuses.items() if status >= 400} == {}


def test_whoever_owns_jobs_can_be_deleted_once_the_line_is_taken_out(migrated, points):
    migrated.add_the_line(MODE="eager", READ_IN_REQUEST=10)
    migrated.ask(UPLOAD, "points.csv", points, "photometry")
    migrated.take_the_line_out()
    migrated.run("manage.py", "remove_stale_contenttypes", "--noinput", "--include-stale-apps")
    migrated.run("manage.py", "shell", "-c", ANOTHER_BOSS)
    migrated.add_the_line()
    assert migrated.ask(VISIT, json.dumps(["/nightshift/?whose=all", "/nightshift/jobs/1/"])) == {
        "None /nightshift/?whose=all": 302,
        "None /nightshift/jobs/1/": 302,
        "boss /nightshift/?whose=all": 200,
        "boss /nightshift/jobs/1/": 200,
    }


def test_check_has_nothing_to_say(site, migrated):
    site.add_the_line()
    before = site.run("manage.py", "check")
    assert "no issues" in before.stdout + before.stderr
    migrated.add_the_line()
    after = migrated.run("manage.py", "makemigrations", "--check", "--dry-run", "tom_nightshift")
    assert "No changes" in after.stdout
