"""From a source's URI to a source.

    duckdb:///file.duckdb          relative to the working directory (duckdb:////data/file.duckdb is absolute)
    duckdb:                        in memory, as duckdb:///:memory:
    postgresql://user@host/db      libpq's own form
    sqlite:///file.db
    grpc://host:port               any Flight SQL server (grpc+tls://), with ?dialect=...
    adbc:name?option=value         a driver that the ADBC driver manager finds by name, through its manifest
    profile://name                 an ADBC connection profile

`?dialect=name` names the compiler's dialect wherever it cannot be told from the scheme.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import adbc_driver_flightsql
import adbc_driver_postgresql
import adbc_driver_sqlite

from sagitta_server.execution.adbc_source import AdbcSource, Driver
from sagitta_server.execution.duckdb_source import DuckDBSource
from sagitta_server.execution.postgres_source import PostgresSource
from sagitta_server.execution.settings import SourceSettings
from sagitta_server.execution.source import Source, SourceError

_DIALECT_OF_DRIVER = {
    "bigquery": "bigquery",
    "clickhouse": "clickhouse",
    "databricks": "databricks",
    "duckdb": "duckdb",
    "mysql": "mysql",
    "postgresql": "postgres",
    "snowflake": "snowflake",
    "sqlite": "sqlite",
    "trino": "trino",
}
_WHEEL_DRIVERS = {"snowflake": "adbc_driver_snowflake", "bigquery": "adbc_driver_bigquery"}
_IN_MEMORY = frozenset({"", ":memory:"})
_DUCKDB_MEMORY_PERCENT = 80
"""What DuckDB takes of the machine's memory unless told otherwise."""
_MEMORY_LIMITS = frozenset({"memory_limit", "max_memory"})
"""Its names for what it is told."""


def open_source(name: str, settings: SourceSettings, *, processes: int = 1) -> Source:
    """Opens the source that a URI names; of several processes that do, an embedded DuckDB takes its part of the memory.

    Raises:
        SourceError: the URI is unknown or the database cannot be opened.
    """
    settings, uri = _take_dialect(settings)
    scheme, _, rest = uri.partition(":")
    match scheme:
        case "duckdb":
            path, options = _path_and_options(rest)
            merged = {**options, **settings.options}
            if processes > 1 and not merged.keys() & _MEMORY_LIMITS:
                merged["memory_limit"] = f"{max(_DUCKDB_MEMORY_PERCENT // processes, 1)}%"
            return DuckDBSource(name, path, settings.model_copy(update={"options": merged}))
        case "postgresql" | "postgres":
            return PostgresSource(name, _postgresql(f"postgresql:{rest}", settings), settings)
        case "sqlite":
            return AdbcSource(name, _sqlite(rest, settings), settings)
        case "grpc" | "grpc+tls" | "grpc+tcp" | "grpc+unix" | "flightsql":
            return AdbcSource(name, _flightsql(uri, settings), settings)
        case "adbc":
            return AdbcSource(name, _by_name(rest), settings)
        case "profile":
            return AdbcSource(name, Driver(_required_dialect(settings), {"uri": uri}), settings)
        case _:
            raise SourceError(
                f"The source {name!r} has an unknown scheme {scheme!r}; there are duckdb, postgresql, sqlite, grpc, "
                "grpc+tls, adbc and profile."
            )


def can_be_shared(settings: SourceSettings) -> bool:
    """Whether several processes may open a source: not a DuckDB file that one of them may write."""
    scheme, _, rest = settings.uri.partition(":")
    return scheme != "duckdb" or settings.read_only or _path_and_options(rest)[0] in _IN_MEMORY


def _take_dialect(settings: SourceSettings) -> tuple[SourceSettings, str]:
    """Moves `?dialect=` from the URI to the settings, which win."""
    base, mark, query = settings.uri.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    dialect = settings.dialect or dict(pairs).get("dialect")
    rest = [pair for pair in pairs if pair[0] != "dialect"]
    if len(rest) == len(pairs):
        return settings, settings.uri
    uri = f"{base}{mark}{urlencode(rest)}" if rest else base
    return settings.model_copy(update={"uri": uri, "dialect": dialect}), uri


def _path_and_options(rest: str) -> tuple[str, dict[str, str]]:
    """Returns the file of `///file?option=value`; a path that exists only as an absolute one is taken as that."""
    location, _, query = rest.partition("?")
    path = location[3:] if location.startswith("///") else location.removeprefix("//")
    if path not in _IN_MEMORY and not Path(path).exists() and Path(f"/{path}").exists():
        path = f"/{path}"
    return path, dict(parse_qsl(query))


def _postgresql(uri: str, settings: SourceSettings) -> Driver:
    guard = ("SET default_transaction_read_only = on",) if settings.read_only else ()
    return Driver(
        "postgres",
        {"driver": adbc_driver_postgresql._driver_path(), "uri": uri},  # noqa: SLF001 - the documented way to use the manager's low level
        init_sql=guard,
        explain_options={"adbc.postgresql.use_copy": "false"},  # COPY takes queries only
    )


def _sqlite(rest: str, settings: SourceSettings) -> Driver:
    path, _ = _path_and_options(rest)
    in_memory = path in _IN_MEMORY
    if settings.read_only and not in_memory and not Path(path).is_file():
        raise SourceError(f"The SQLite file {Path(path).name!r} does not exist.")
    uri = ":memory:" if in_memory else f"file:{path}" + ("?mode=ro" if settings.read_only else "")
    return Driver(
        "sqlite",
        {"driver": adbc_driver_sqlite._driver_path(), "uri": uri},  # noqa: SLF001
        statement={"adbc.sqlite.query.batch_rows": "8192"},
        can_cancel=False,
        explain="EXPLAIN QUERY PLAN ",
    )


def _flightsql(uri: str, settings: SourceSettings) -> Driver:
    location = uri.replace("flightsql://", "grpc://", 1)
    return Driver(
        _required_dialect(settings),
        {"driver": adbc_driver_flightsql._driver_path(), "uri": location},  # noqa: SLF001
    )


def _by_name(rest: str) -> Driver:
    """A driver in a wheel of its own, or one that a manifest names."""
    name, _, query = rest.partition("?")
    name = name.strip("/")
    options = dict(parse_qsl(query))
    dialect = _DIALECT_OF_DRIVER.get(name, "")
    return Driver(dialect or name, {"driver": _driver_file(name), **options})


def _driver_file(name: str) -> str:
    module = _WHEEL_DRIVERS.get(name)
    if module is None:
        return name
    try:
        found = __import__(module)
    except ImportError:
        return name
    return str(found._driver_path())  # noqa: SLF001


def _required_dialect(settings: SourceSettings) -> str:
    if settings.dialect is None:
        raise SourceError("This source needs the SQL dialect of its warehouse: add ?dialect=... to its URI.")
    return settings.dialect
