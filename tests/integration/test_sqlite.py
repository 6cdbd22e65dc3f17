"""SQLite under a site: connections that never lock it."""

from __future__ import annotations

import sqlite3
import time

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.backends.signals import connection_created

from tests.support.rivals import race
from tom_nightshift.ledger import sqlite
from tom_nightshift.ledger.session import OwnConnection, jobs_alias

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")


@pytest.fixture
def site(transactional_db, tmp_path):
    """Opens new connections to a site's database in rollback mode, as threads open them."""
    opened = []

    def open_one(**options):
        one = connections.create_connection(jobs_alias())
        one.settings_dict = one.settings_dict | {"NAME": tmp_path / "site.sqlite3", "OPTIONS": options}
        opened.append(one)
        one.ensure_connection()
        return one

    yield open_one
    for one in opened:
        one.close()


def pragma(connection, name):
    return connection.connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_connection_of_the_site_begins_as_a_writer_and_waits_its_turn(site):
    one = site()
    assert (one.transaction_mode, pragma(one, "busy_timeout")) == ("IMMEDIATE", 20_000)


def test_the_first_connection_switches_the_file_to_its_write_ahead_log(site):
    assert pragma(site(), "journal_mode") == "wal"


def test_a_mode_that_the_site_chose_itself_stays(site):
    assert site(transaction_mode="EXCLUSIVE").transaction_mode == "EXCLUSIVE"


def test_it_can_be_switched_off(site, nightshift):
    nightshift(SQLITE_SETUP=False)
    one = site()
    assert (one.transaction_mode, pragma(one, "journal_mode")) == (None, "delete")


def test_a_refused_switch_does_not_wait_and_is_tried_again_by_the_next(site, tmp_path):
    raw = sqlite3.connect(tmp_path / "site.sqlite3")
    raw.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    one = site()
    assert time.monotonic() - began < 5  # its patience is twenty seconds
    assert pragma(one, "busy_timeout") == 20_000
    raw.close()
    assert pragma(site(), "journal_mode") == "wal"


def test_it_never_raises(site, monkeypatch):
    def broken(*_):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "_pragma", broken)
        site()


def test_another_alias_is_left_alone(transactional_db, tmp_path):
    class Other:
        vendor, alias, transaction_mode = "sqlite", "other", None

    connection_created.send(sender=None, connection=Other())
    assert Other.transaction_mode is None


def test_our_own_connections_are_quick_and_the_sites_options_are_not_changed(transactional_db):
    own = OwnConnection(patience=0.5)
    with own.transaction() as sql:
        ours = sql.connection
        assert (pragma(ours, "synchronous"), pragma(ours, "temp_store"), pragma(ours, "busy_timeout")) == (
            1,
            2,
            500,
        )
        assert ours.settings_dict is not connection.settings_dict
    own.close()


def test_a_read_that_then_writes_is_not_locked_out(broker):
    """In write-ahead mode a deferred transaction that reads first fails at once, whatever its patience."""
    User.objects.create(username="counter", first_name="0")

    def count(_number):
        for _ in range(20):
            with transaction.atomic():
                user = User.objects.get(username="counter")
                user.first_name = str(int(user.first_name) + 1)
                user.save()

    assert race(4, count) == [None] * 4
    assert User.objects.get().first_name == "80"
