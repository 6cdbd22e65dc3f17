"""What the doctor says of the database: each fault is caused, and found."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ProgrammingError

from tests.doctor.conftest import by_name
from tests.support.rivals import holding
from tom_nightshift import events
from tom_nightshift.doctor import clocks, postgres, rounds, sqlite
from tom_nightshift.doctor import database as examinations
from tom_nightshift.ledger.session import OwnConnection

on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")


@pytest.fixture
def elsewhere(look, database, tmp_path):
    """The jobs are in another SQLite file, which is there."""
    file = tmp_path / "elsewhere.sqlite3"
    file.touch()
    database(NAME=str(file))
    return file


def test_a_database_that_answers(look):
    (found,) = examinations.answers()
    assert (found.name, "answers" in found.what) == ("", True)
    assert look(examinations.tables_are_migrated).keys() == {""}
    assert look(examinations.rows_can_be_written).keys() <= {""}


@on_sqlite
def test_a_file_that_is_not_there_is_not_made(elsewhere):
    elsewhere.unlink()
    assert by_name(examinations.answers()).keys() == {"database-missing"}
    assert not elsewhere.exists()


@on_sqlite
def test_a_file_that_cannot_be_opened(elsewhere):
    elsewhere.unlink()
    elsewhere.mkdir()
    assert "unable to open" in by_name(examinations.answers())["database-refuses"].what


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("written", "name"),
    [
        ({"PORT": "1"}, "database-away"),
        ({"PASSWORD": "wrong"}, "database-refuses"),
        ({"NAME": "nowhere"}, "database-refuses"),
    ],
)
def test_a_server_that_is_away_is_told_from_one_that_refuses(look, database, written, name):
    database(**written)
    (found,) = examinations.answers()
    assert found.name == name
    if name == "database-refuses":
        assert connection.settings_dict["USER"] in found.what


@pytest.mark.postgres
def test_a_user_without_rights_is_told_which(look, database, caplog):
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS ns_guest")
        cursor.execute("CREATE ROLE ns_guest LOGIN PASSWORD 'guest'")
    database(USER="ns_guest", PASSWORD="guest")
    found = look(examinations.rows_can_be_written)["permission-denied"]
    assert "ns_guest may not" in found.what
    assert "UPDATE on tom_nightshift_job" in found.what
    assert "GRANT" in found.todo

    own = OwnConnection()
    with pytest.raises(ProgrammingError) as refused, own.reading() as sql:
        sql.rows("SELECT 1 FROM tom_nightshift_job")
    events.database_away(refused.value, 1)
    assert "the database answers, but refuses" in caplog.text
    assert "does not answer" not in caplog.text
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE ns_guest")


@pytest.mark.postgres
def test_a_database_that_takes_no_writes(look, database):
    database(OPTIONS={"options": "-c default_transaction_read_only=on"})
    assert look(examinations.rows_can_be_written).keys() == {"read-only"}


def test_a_migration_that_is_not_applied_or_not_known(look):
    recorder = MigrationRecorder(connection)
    recorder.record_applied("tom_nightshift", "9999_of_the_future")
    assert "9999" in look(examinations.tables_are_migrated)["migrated-by-newer"].what
    recorder.record_unapplied("tom_nightshift", "9999_of_the_future")
    ((_, newest),) = MigrationLoader(connection).graph.leaf_nodes("tom_nightshift")
    recorder.record_unapplied("tom_nightshift", newest)
    try:
        assert newest in look(examinations.tables_are_migrated)["not-migrated"].what
    finally:
        recorder.record_applied("tom_nightshift", newest)


@pytest.mark.parametrize(
    ("there", "back", "what"),
    [
        ("_worker RENAME TO away", "away RENAME TO tom_nightshift_worker", "tom_nightshift_worker"),
        (
            "_worker RENAME COLUMN nonce TO away",
            "tom_nightshift_worker RENAME COLUMN away TO nonce",
            "tom_nightshift_worker.nonce",
        ),
    ],
)
def test_a_table_or_a_column_that_somebody_took_away(look, there, back, what):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE tom_nightshift{there}")
    try:
        found = {one.finding.name: one for one in rounds.examine()}
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {back}")
    assert what in found["columns-missing"].finding.what
    assert "waiting jobs" in found["not-examined"].finding.what
    assert "examination-broken" not in found


@on_sqlite
def test_a_file_in_rollback_mode_without_our_set_up(elsewhere, look, nightshift):
    nightshift(SQLITE_SETUP=False)
    assert look(sqlite.is_in_wal).keys() == {"sqlite-not-in-wal", "sqlite-setup-off"}
    nightshift()
    assert look(sqlite.is_in_wal).keys() == {""}


@on_sqlite
def test_a_database_in_memory(look, database):
    database(NAME=":memory:")
    assert look(sqlite.is_in_wal).keys() == {"sqlite-in-memory"}


@on_sqlite
def test_a_file_on_a_network_file_system(elsewhere, look, tmp_path, monkeypatch):
    assert look(sqlite.is_on_a_local_disk).keys() == {""}
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\ntmpfs /tmp/other tmpfs rw 0 0\n"
    )
    monkeypatch.setattr(sqlite, "MOUNTS", mounts)
    assert "nfs4" in look(sqlite.is_on_a_local_disk)["sqlite-on-network"].what


@on_sqlite
@pytest.mark.parametrize(
    ("limit", "name"),
    [("FULL", "disk-full"), ("NEARLY_FULL", "disk-nearly-full"), ("LONG_LOG", "sqlite-log-long")],
)
def test_room_on_the_disk(look, monkeypatch, limit, name):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tom_nightshift_job SET title = title")  # there is a log
        monkeypatch.setattr(sqlite, limit, -1 if limit == "LONG_LOG" else 1 << 80)
        assert name in look(sqlite.has_room)


@on_sqlite
def test_a_write_lock_that_is_kept(look):
    assert look(sqlite.can_be_written).keys() == {""}
    with holding(lambda sql: sql.run("UPDATE tom_nightshift_job SET title = title")):
        assert look(sqlite.can_be_written).keys() == {"sqlite-locked"}


@on_sqlite
def test_a_file_that_may_only_be_read(elsewhere, look, database):
    look(sqlite.can_be_written)
    database(NAME=f"file:{elsewhere}?mode=ro")
    assert look(sqlite.can_be_written).keys() == {"sqlite-not-writable"}


def test_clocks_that_differ(look, step_clock):
    assert look(clocks.agree).keys() == {""}
    step_clock(3600)
    assert "3,600 s ahead" in look(clocks.agree)["clock-differs"].what
    step_clock(-7200)
    assert "3,600 s behind" in look(clocks.agree)["clock-differs"].what


@pytest.mark.postgres
def test_connections_are_counted(look, nightshift):
    nightshift(PROCESSES=2, THREADS=5)
    assert "16 by the settings (2 × (5 + 3))" in look(postgres.connections_suffice)[""].what
    nightshift(THREADS=100_000)
    assert look(postgres.connections_suffice).keys() == {"connections-too-few"}


@pytest.mark.postgres
def test_connections_of_others_are_counted_too(look, nightshift):
    import psycopg

    words = look(postgres.connections_suffice)[""].what
    most = int(words.partition("; of ")[2].partition(",")[0])
    server = connection.settings_dict
    with psycopg.connect(
        host=server["HOST"], port=server["PORT"], user=server["USER"], password=server["PASSWORD"],
        dbname="template1",
    ):  # fmt: skip
        nightshift(THREADS=most - postgres.OF_OUR_OWN)
        assert look(postgres.connections_suffice).keys() == {"connections-short"}


@pytest.mark.postgres
def test_a_limit_of_the_user_counts(look):
    with connection.cursor() as cursor:
        cursor.execute("ALTER ROLE CURRENT_USER CONNECTION LIMIT 6")
        try:
            assert "of 6," in look(postgres.connections_suffice)["connections-too-few"].what
        finally:
            cursor.execute("ALTER ROLE CURRENT_USER CONNECTION LIMIT -1")


@pytest.mark.postgres
def test_pools(look, database):
    assert look(postgres.pooling_fits).keys() == {""}
    database(DISABLE_SERVER_SIDE_CURSORS=True, CONN_MAX_AGE=60)
    assert look(postgres.pooling_fits).keys() == {"pgbouncer", "pgbouncer-conn-max-age"}
    database(DISABLE_SERVER_SIDE_CURSORS=False, OPTIONS={"pool": {"max_size": 2}})
    assert look(postgres.pooling_fits).keys() == {"pool-too-small"}
    database(OPTIONS={"pool": True})
    assert look(postgres.pooling_fits).keys() == {""}
