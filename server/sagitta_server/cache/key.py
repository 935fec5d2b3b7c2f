"""Names of results and of tables, as the cache compares them."""

from __future__ import annotations

import hashlib
import json

KEY_VERSION = 1


def result_key(*, datasource: str, model: str, dialect: str, sql: str) -> str:
    """Returns 32 hexadecimal digits that stand for one result.

    `model` identifies the content of the model, not the session that holds it: sessions share results. Row policies,
    the time zone of the query and bound parameters are part of `sql`; locale and format are applied on delivery.

    The text of `sql` is taken as it is but for its ends: the compiler writes one query in one way, and blanks inside a
    statement cannot be told from blanks inside its strings without knowing every dialect's quoting.
    """
    parts = {
        "v": KEY_VERSION,
        "datasource": datasource,
        "model": model,
        "dialect": dialect,
        "sql": sql.strip().removesuffix(";").rstrip(),
    }
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def table_reference(*parts: str) -> str:
    """Returns `database.schema.table` without empty parts."""
    return ".".join(part for part in parts if part)


def folded(table: str) -> str:
    """Returns the form in which tables are compared: warehouses and loaders rarely agree on upper and lower case."""
    return table.casefold()
