"""Opens the state database and brings its schema up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError

MIGRATIONS = Path(__file__).parent / "migrations"
_KINDS = ("sqlite", "postgresql", "postgres")
_WRITE = "sagitta_write"
_MIGRATION_LOCK = 0x5A617469  # any fixed number: one migration at a time per PostgreSQL database


class StateDatabaseError(Exception):
    """The state database cannot be opened; the message says which and why, for the administrator."""


@dataclass(frozen=True, slots=True)
class Database:
    """An engine and the two kinds of transaction the server uses."""

    engine: Engine

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; on SQLite it takes the write lock at once, so that it never has to be repeated."""
        with self.engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
            yield connection

    @contextmanager
    def write_alone(self, lock: int) -> Iterator[Connection]:
        """A transaction that writes while no other one with this lock does, here or at another replica.

        For what is counted and then added to. SQLite has one writer at a time anyway.
        """
        with self.write() as connection:
            if self.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
            yield connection

    def close(self) -> None:
        """Closes the pooled connections."""
        self.engine.dispose()


def open_database(url: str | URL, *, migrate: bool = True) -> Database:
    """Opens `sqlite:///path` or `postgresql://...`; the schema is created or migrated unless told otherwise.

    Raises:
        StateDatabaseError: the URL names no such database, it does not answer, or it is not one of ours.
    """
    parsed = _with_driver(_parsed(url))
    if parsed.get_backend_name() == "sqlite":
        engine = _sqlite_engine(parsed)
    else:
        engine = create_engine(parsed, pool_size=20, max_overflow=20, pool_pre_ping=True)
    database = Database(engine)
    try:
        if migrate:
            _migrate(database)
    except CommandError as error:
        database.close()
        raise StateDatabaseError(
            f"{_shown(parsed)} was written by a newer version, or is not a state database: {error}"
        ) from error
    except DBAPIError as error:
        database.close()
        raise StateDatabaseError(f"{_shown(parsed)} cannot be used: {str(error.orig).strip()}") from error
    return database


def _parsed(url: str | URL) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise StateDatabaseError("SAGITTA_STATE_URL is no URL such as postgresql://user@host/database") from None


def _with_driver(url: URL) -> URL:
    if url.get_backend_name() not in _KINDS:
        raise StateDatabaseError(
            f"SAGITTA_STATE_URL names {url.get_backend_name()}: the state is kept in SQLite or PostgreSQL"
        )
    return url.set(drivername="postgresql+psycopg") if url.drivername in {"postgresql", "postgres"} else url


def _shown(url: URL) -> str:
    return f"the state database {url.render_as_string(hide_password=True)}"


def _sqlite_engine(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        file = Path(url.database)
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # SQLite says what is wrong with the place, and gives the files beside it the same mode
            file.touch(mode=0o600, exist_ok=False)
    engine = create_engine(url, pool_size=20, max_overflow=20, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    cursor = connection.cursor()
    for pragma in ("busy_timeout = 30000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _migrate(database: Database) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with database.write_alone(_MIGRATION_LOCK) as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "heads")
