"""The SQLAlchemy dialect: URLs, metadata from Flight SQL, statements as they are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import exc
from sqlalchemy.engine import default
from sqlalchemy.engine.url import URL

from sagitta_sqlalchemy.types import COLUMN_TYPES, sql_type

DEFAULT_PORT = 32010
_LOST = ("Unavailable", "UNAVAILABLE", "connection is shutting down", "transport is closing")
_KEY_SQL = """
SELECT constraint_name, column_name FROM information_schema.key_column_usage WHERE table_schema = ? AND table_name = ?
"""

Found = TypeVar("Found")


def _remembered(method: Callable[..., Found]) -> Callable[..., Found]:
    """Asks once for each Inspector; SQLAlchemy 1.4's own decorator cannot read annotations."""

    @functools.wraps(method)
    def ask(self: Any, connection: Any, *args: Any, **kw: Any) -> Found:
        known = kw.get("info_cache")
        if known is None:
            return method(self, connection, *args, **kw)
        key = (method.__name__, args, tuple(sorted((n, v) for n, v in kw.items() if isinstance(v, str))))
        if key not in known:
            known[key] = method(self, connection, *args, **kw)
        found: Found = known[key]
        return found

    return ask


class SagittaDialect(default.DefaultDialect):
    """`sagitta://user:password@host:port/model`, read-only, over `adbc_driver_flightsql`."""

    name = "sagitta"
    driver = "flightsql"
    default_paramstyle = "qmark"
    colspecs = COLUMN_TYPES
    max_identifier_length = 255
    supports_alter = False
    supports_default_values = False
    supports_empty_insert = False
    supports_multivalues_insert = False
    supports_native_boolean = True
    supports_native_decimal = True
    supports_sane_rowcount = False
    supports_sane_multi_rowcount = False
    supports_schemas = True
    supports_statement_cache = True
    supports_unicode_statements = True
    supports_unicode_binds = True
    returns_unicode_strings = True
    postfetch_lastrowid = False
    requires_name_normalize = False

    @classmethod
    def import_dbapi(cls) -> Any:
        """Returns the DB-API module (SQLAlchemy 2)."""
        import adbc_driver_flightsql.dbapi

        return adbc_driver_flightsql.dbapi

    @classmethod
    def dbapi(cls) -> Any:  # type: ignore[override]  # SQLAlchemy 1.4 calls it, 2 sets an attribute of that name
        """Returns the DB-API module (SQLAlchemy 1.4)."""
        return cls.import_dbapi()

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        """Returns what the driver's `connect` takes.

        Raises:
            sqlalchemy.exc.ArgumentError: the URL has a parameter that is not known.
        """
        query = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
        scheme = "grpc+tls" if _is_true(query.pop("tls", "false")) else "grpc"
        options = {"adbc.flight.sql.rpc.with_cookie_middleware": "true"}
        if url.username is not None:
            options["username"] = url.username
            options["password"] = str(url.password or "")
        if (token := query.pop("token", None)) is not None:
            options["adbc.flight.sql.authorization_header"] = f"Bearer {token}"
        if url.database:
            options["adbc.flight.sql.rpc.call_header.database"] = url.database
        if _is_true(query.pop("tls_skip_verify", "false")):
            options["adbc.flight.sql.client_option.tls_skip_verify"] = "true"
        if (timeout := query.pop("timeout", None)) is not None:
            options["adbc.flight.sql.rpc.timeout_seconds.fetch"] = timeout
            options["adbc.flight.sql.rpc.timeout_seconds.query"] = timeout
        if query:
            known = "tls, tls_skip_verify, token and timeout"
            raise exc.ArgumentError(f"The URL has {', '.join(sorted(query))}; known are {known}.")
        uri = f"{scheme}://{url.host or '127.0.0.1'}:{url.port or DEFAULT_PORT}"
        self._model = url.database
        return [], {"uri": uri, "db_kwargs": options, "autocommit": True}

    _model: str | None = None

    # statements

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Executes a statement; without parameters nothing is bound."""
        cursor.execute(statement, parameters or None)

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Does nothing: there are no transactions."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Does nothing: there are no transactions."""

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Asks the server for a row."""
        with dbapi_connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        return True

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:
        """Says whether an error means that the server cannot be reached any more."""
        return any(sign in str(e) for sign in _LOST)

    def _get_default_schema_name(self, connection: Any) -> str | None:  # type: ignore[override]  # there may be none
        return self._model

    # metadata

    @_remembered
    def get_schema_names(self, connection: Any, **kw: Any) -> list[str]:
        """Returns the models."""
        found = self._objects(connection, "db_schemas")
        return [schema["db_schema_name"] for schema in found]

    @_remembered
    def get_table_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        """Returns a model's table and its data objects."""
        return self._names(connection, schema, ("TABLE", "BASE TABLE"))

    @_remembered
    def get_view_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        """Returns the views that hold one kind of a model's columns."""
        return self._names(connection, schema, ("VIEW",))

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> bool:
        """Says whether there is such a table or view."""
        names = [*self.get_table_names(connection, schema), *self.get_view_names(connection, schema)]
        return table_name in names

    @_remembered
    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[Any]:
        """Returns the columns of a table with their types and descriptions.

        Raises:
            sqlalchemy.exc.NoSuchTableError: there is no such table.
        """
        if not self.has_table(connection, table_name, schema):
            raise exc.NoSuchTableError(table_name)
        found = _driver(connection).adbc_get_table_schema(table_name, db_schema_filter=schema or self._model)
        return [
            {
                "name": column.name,
                "type": sql_type(column.type),
                "nullable": column.nullable,
                "default": None,
                "autoincrement": False,
                "comment": ((column.metadata or {}).get(b"ARROW:FLIGHT:SQL:REMARKS") or b"").decode() or None,
            }
            for column in found
        ]

    @_remembered
    def get_pk_constraint(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        """Returns the primary key that the model declares for a data object."""
        with _driver(connection).cursor() as cursor:
            cursor.execute(_KEY_SQL, (schema or self._model or "", table_name))
            found = cursor.fetchall()
        return {"constrained_columns": [row[1] for row in found], "name": found[0][0] if found else None}

    def get_foreign_keys(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[Any]:
        """Returns nothing: a model joins by itself."""
        return []

    def get_indexes(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[Any]:
        """Returns nothing: there are no indexes."""
        return []

    def get_unique_constraints(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Any]:
        """Returns nothing beyond the primary key."""
        return []

    def get_check_constraints(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Any]:
        """Returns nothing: data cannot be written."""
        return []

    def get_table_comment(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        """Returns no comment: Flight SQL has none for tables."""
        return {"text": None}

    def get_view_definition(self, connection: Any, view_name: str, schema: str | None = None, **kw: Any) -> str:
        """Returns no text: a view of a model has no SQL of its own."""
        return ""

    def _names(self, connection: Any, schema: str | None, kinds: tuple[str, ...]) -> list[str]:
        wanted = schema or self._model
        return [
            table["table_name"]
            for found in self._objects(connection, "tables")
            if wanted is None or found["db_schema_name"] == wanted
            for table in found["db_schema_tables"]
            if table["table_type"] in kinds
        ]

    @staticmethod
    def _objects(connection: Any, depth: str) -> list[dict[str, Any]]:
        found = _driver(connection).adbc_get_objects(depth=depth).read_all().to_pylist()
        return [schema for catalog in found for schema in catalog["catalog_db_schemas"]]


def _driver(connection: Any) -> Any:
    """The ADBC connection below SQLAlchemy's."""
    pooled = connection.connection
    return getattr(pooled, "driver_connection", None) or pooled.connection


def _is_true(text: str) -> bool:
    return text.lower() in ("1", "true", "yes", "on")
