"""The index of the file backend: which results there are, what they depend on, and when they were used.

An SQLite file beside the results, because its life is that of the files. Several processes may use it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DatabaseError

from sagitta_server.state.database import Database, open_database

FORMAT = 1
"""The number of this layout; a directory of another one is emptied."""
FILE_NAME = "index.sqlite"

_metadata = MetaData()
entries = Table(
    "entry",
    _metadata,
    Column("key", String, primary_key=True),
    Column("file", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("checksum", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger, nullable=False),
    Column("hits", BigInteger, nullable=False, default=0),
    Index("ix_entry_used", "used_at", "size_bytes"),
)
dependencies = Table(
    "entry_table",
    _metadata,
    Column("key", String, ForeignKey("entry.key", ondelete="CASCADE"), primary_key=True),
    Column("table_ref", String, primary_key=True, index=True),
    Column("generation", Integer, nullable=False),
)
counters = Table(
    "counter", _metadata, Column("name", String, primary_key=True), Column("value", BigInteger, nullable=False)
)

_FIND = (
    select(entries, dependencies.c.table_ref, dependencies.c.generation)
    .select_from(entries.outerjoin(dependencies))
    .where(entries.c.key == bindparam("key"))
)
_IN_ONE_STATEMENT = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One result; times in microseconds since 1970 UTC, `tables` maps a folded table to its generation."""

    key: str
    file: str
    size_bytes: int
    checksum: int
    rows: int
    created_at: int
    expires_at: int
    tables: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """Sums over the whole index."""

    entry_count: int
    size_bytes: int
    oldest: int | None
    tables: int
    counters: Mapping[str, int]


class EntryIndex:
    """The index; every method is one transaction, and methods that remove entries return the names of their files."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._database = _open(directory / FILE_NAME)
        except DatabaseError as error:
            if "locked" in str(error).lower():
                raise
            _discard(directory / FILE_NAME)  # not a database any more; the results are only copies
            self._database = _open(directory / FILE_NAME)

    def find(self, key: str) -> Entry | None:
        with self._database.read() as connection:
            rows = connection.execute(_FIND, {"key": key}).all()
        if not rows:
            return None
        row, tables = rows[0], {each.table_ref: each.generation for each in rows if each.table_ref is not None}
        return Entry(row.key, row.file, row.size_bytes, row.checksum, row.rows, row.created_at, row.expires_at, tables)

    def put(self, entry: Entry) -> list[str]:
        """Adds an entry; one with the same key goes."""
        with self._database.write() as connection:
            replaced = _remove(connection, [entry.key])
            connection.execute(
                insert(entries).values(
                    key=entry.key,
                    file=entry.file,
                    size_bytes=entry.size_bytes,
                    checksum=entry.checksum,
                    rows=entry.rows,
                    created_at=entry.created_at,
                    expires_at=entry.expires_at,
                    used_at=entry.created_at,
                )
            )
            connection.execute(
                insert(dependencies),
                [{"key": entry.key, "table_ref": t, "generation": g} for t, g in entry.tables.items()],
            )
        return replaced

    def remove(self, key: str, file: str) -> list[str]:
        """Removes an entry unless it has been replaced meanwhile."""
        with self._database.write() as connection:
            matching = select(entries.c.key).where(entries.c.key == key, entries.c.file == file)
            return _remove(connection, connection.execute(matching).scalars().all())

    def remove_all(self) -> list[str]:
        with self._database.write() as connection:
            return _remove(connection, connection.execute(select(entries.c.key)).scalars().all())

    def remove_table(self, table: str) -> list[str]:
        """Removes every entry that depends on a table (folded name)."""
        with self._database.write() as connection:
            matching = select(dependencies.c.key).where(dependencies.c.table_ref == table)
            return _remove(connection, connection.execute(matching).scalars().all())

    def remove_expired(self, now: int) -> list[str]:
        with self._database.write() as connection:
            matching = select(entries.c.key).where(entries.c.expires_at <= now)
            return _remove(connection, connection.execute(matching).scalars().all())

    def remove_least_recently_used(self, limit_bytes: int) -> list[str]:
        """Removes entries, the longest unused first, until those that stay hold at most `limit_bytes`."""
        running = func.sum(entries.c.size_bytes).over(order_by=[entries.c.used_at.desc(), entries.c.key]).label("kept")
        ranked = select(entries.c.key, running).subquery()
        with self._database.write() as connection:
            total = connection.execute(select(func.coalesce(func.sum(entries.c.size_bytes), 0))).scalar_one()
            if total <= limit_bytes:
                return []
            matching = select(ranked.c.key).where(ranked.c.kept > limit_bytes)
            return _remove(connection, connection.execute(matching).scalars().all())

    def files(self) -> set[str]:
        with self._database.read() as connection:
            return set(connection.execute(select(entries.c.file)).scalars())

    def record_use(self, hits: Mapping[str, tuple[int, int]], counts: Mapping[str, int]) -> None:
        """Adds hits (count and newest time, by key) and counters."""
        with self._database.write() as connection:
            for key, (count, used_at) in hits.items():
                connection.execute(
                    update(entries)
                    .where(entries.c.key == key)
                    .values(hits=entries.c.hits + count, used_at=func.max(entries.c.used_at, used_at))
                )
            for name, count in counts.items():
                _count(connection, name, count)

    def claim_sweep(self, now: int, interval: int) -> bool:
        """Whether the caller is the one that sweeps now: the last sweep began at least `interval` ago."""
        with self._database.write() as connection:
            last = connection.execute(select(counters.c.value).where(counters.c.name == "swept_at")).scalar()
            if last is not None and now - last < interval:
                return False
            _set(connection, "swept_at", now)
            return True

    def note_sweep(self, now: int) -> None:
        with self._database.write() as connection:
            _set(connection, "swept_at", now)

    def summary(self) -> IndexSummary:
        totals = select(
            func.count(), func.coalesce(func.sum(entries.c.size_bytes), 0), func.min(entries.c.created_at)
        ).select_from(entries)
        with self._database.read() as connection:
            count, size, oldest = connection.execute(totals).one()
            tables = connection.execute(select(func.count(dependencies.c.table_ref.distinct()))).scalar_one()
            values = {row.name: row.value for row in connection.execute(select(counters))}
        return IndexSummary(count, size, oldest, tables, values)

    def close(self) -> None:
        self._database.close()


def _open(path: Path) -> Database:
    database = open_database(f"sqlite:///{path}", migrate=False)
    event.listen(database.engine, "connect", _relax)
    try:
        with database.write() as connection:
            if connection.exec_driver_sql("PRAGMA user_version").scalar() != FORMAT:
                _metadata.drop_all(connection)
                _metadata.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA user_version = {FORMAT}")
    except BaseException:
        database.close()
        raise
    return database


def _relax(connection: Any, _record: object) -> None:
    """What a power cut may cost here is a copy, so commits need not wait for the disk."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA busy_timeout = 5000")
    cursor.close()


def _discard(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _remove(connection: Connection, keys: Iterable[str]) -> list[str]:
    wanted, files = list(keys), list[str]()
    for start in range(0, len(wanted), _IN_ONE_STATEMENT):
        some = wanted[start : start + _IN_ONE_STATEMENT]
        statement = delete(entries).where(entries.c.key.in_(some)).returning(entries.c.file)
        files.extend(connection.execute(statement).scalars())
    return files


def _count(connection: Connection, name: str, amount: int) -> None:
    statement = upsert(counters).values(name=name, value=amount)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"value": counters.c.value + statement.excluded.value}
        )
    )


def _set(connection: Connection, name: str, value: int) -> None:
    statement = upsert(counters).values(name=name, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded.value})
    )
