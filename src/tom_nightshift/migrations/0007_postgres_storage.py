"""How PostgreSQL keeps the tables whose rows change most; nothing on other databases.

A job's row changes a few times within seconds and then never again. So its dead versions are to be cleared away
after a thousand, not after a fifth of a table that holds months of history, and room is left on each page for
the progress of what runs: that touches no index as long as the new version fits beside the old one.
"""

from typing import Any

from django.db import migrations

STORAGE = {
    "tom_nightshift_job": {
        "fillfactor": "85",
        "autovacuum_vacuum_threshold": "1000",
        "autovacuum_vacuum_scale_factor": "0.01",
        "autovacuum_analyze_threshold": "1000",
        "autovacuum_analyze_scale_factor": "0.05",
    },
    "tom_nightshift_worker": {
        "fillfactor": "50",
        "autovacuum_vacuum_threshold": "100",
        "autovacuum_vacuum_scale_factor": "0",
    },
}


def set_parameters(apps: Any, schema_editor: Any) -> None:
    _alter(schema_editor, lambda values: "SET (" + ", ".join(f"{k} = {v}" for k, v in values.items()) + ")")


def reset_parameters(apps: Any, schema_editor: Any) -> None:
    _alter(schema_editor, lambda values: "RESET (" + ", ".join(values) + ")")


def _alter(schema_editor: Any, clause: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for table, values in STORAGE.items():
            schema_editor.execute(f"ALTER TABLE {table} {clause(values)}")


class Migration(migrations.Migration):
    dependencies = [("tom_nightshift", "0006_lanes_of_owners")]

    operations = [migrations.RunPython(set_parameters, reset_parameters, elidable=False)]
