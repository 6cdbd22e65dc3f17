"""Many rows of jobs at once, written past Nightshift: what a site has gathered in years."""

from __future__ import annotations

from benchmarks.databases import Database

SAME = {
    "message": "{bytes}",
    "queue": "'default'",
    "task": "'nothing'",
    "title": "'Nothing'",
    "ord": "0",
    "attempt": "1",
    "failures": "0",
    "losses": "0",
    "snoozes": "0",
    "worker": "''",
    "stop_requested": "FALSE",
    "stop_stage": "0",
    "stop_by": "''",
    "reason": "''",
    "error": "''",
    "note": "''",
    "unique_key": "''",
    "limit_key": "''",
    "rate_key": "''",
    "notify": "''",
    "carrier_epoch": "''",
}
WORDS = {
    "sqlite": {
        "number": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})",
        "id": "printf('%032x', i)",
        "bytes": "zeroblob(300)",
        "days": "strftime('%Y-%m-%d %H:%M:%f', 'now', ({days}) || ' days')",
    },
    "postgres": {
        "number": "WITH n AS (SELECT i FROM generate_series(1, {count}) AS i)",
        "id": "lpad(to_hex(i), 32, '0')::uuid",
        "bytes": "decode(repeat('00', 300), 'hex')",
        "days": "clock_timestamp() + ({days}) * interval '1 day'",
    },
}


def add_finished(database: Database, count: int, every: int) -> None:
    """Jobs that ended well in the last twenty days.

    Parameters:
        every: how many of them there are for each one of Ann's.
    """
    ended = WORDS[database.name]["days"].format(days="-1 - i % 20")
    ann = "(SELECT min(id) FROM auth_user WHERE username = 'ann')"
    values = dict.fromkeys(("created_at", "claimed_at", "started_at", "finished_at"), ended)
    owner = f"CASE WHEN i % {every} = 0 THEN {ann} END"
    _add(database, count, values | {"state": "'succeeded'", "hold": "''", "priority": "0", "owner_id": owner})


def add_held(database: Database, count: int) -> None:
    """Jobs that would be sooner than all others, and may not begin."""
    created, tomorrow = (WORDS[database.name]["days"].format(days=days) for days in ("0", "1"))
    hold = "CASE i % 3 WHEN 0 THEN 'until' WHEN 1 THEN 'paused' ELSE 'parked' END"
    run_at = f"CASE i % 3 WHEN 0 THEN {tomorrow} END"
    values = {"state": "'waiting'", "hold": hold, "priority": "-1", "run_at": run_at, "created_at": created}
    _add(database, count, values)


def _add(database: Database, count: int, values: dict[str, str]) -> None:
    words = WORDS[database.name]
    row = {"message_id": words["id"]} | SAME | {"message": words["bytes"]} | values
    numbers = words["number"].format(count=count)
    chosen = f"{numbers} SELECT {', '.join(row.values())} FROM n"
    database.rows(f"INSERT INTO tom_nightshift_job ({', '.join(row)}) {chosen}")
