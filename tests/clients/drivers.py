"""Every client behind one face: it runs a statement and shows the result as it sees it.

Clients in other languages are programs, built when they are first used, or beforehand by `python -m clients.drivers`;
those in Python are called.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as flight_sql
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from clients.conftest import HERE, run, tool
from clients.values import Answer
from harness.waiting import until
from pyarrow import flight

CACHE = Path(os.environ.get("CLIENTS_CACHE", HERE.parents[1] / ".clients"))
"""Where programs are built; what was built is used again by the next run."""
JVM = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "-Duser.timezone=UTC",
    "-Dfile.encoding=UTF-8",
    "-Dstdout.encoding=UTF-8",
)
JDBC_VERSION = "18.3.0"
REPOSITORY = Path.home() / ".m2" / "repository" / "org" / "apache" / "arrow" / "flight-sql-jdbc-driver"


@dataclass(frozen=True)
class Seen:
    """What a program printed: its facts by topic, in their order."""

    code: int
    facts: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    @property
    def rows(self) -> list[Any]:
        return self.facts.get("row", [])

    @property
    def error(self) -> str:
        return str(self.facts["error"][0])


@dataclass(frozen=True)
class Program:
    """A client in another language."""

    command: Callable[[], list[str]]

    def __call__(self, location: str, *arguments: str, user: str | None = None, password: str = "") -> Seen:
        login = {"FLIGHT_USER": user, "FLIGHT_PASSWORD": password} if user is not None else {}
        with self._started(location, arguments, login) as process:
            return _seen(process)

    def cancel(self, location: str, sql: str, running: Callable[[], bool]) -> Seen:
        """Runs a long query, and has the program cancel it once it is running."""
        with self._started(location, ("cancel", sql), {}) as process:
            until(running)
            return _seen(process, "\n")

    def _started(self, location: str, arguments: Sequence[str], login: Mapping[str, str]) -> subprocess.Popen[str]:
        command = [*self.command(), location.removeprefix("grpc://"), *arguments]
        pipe, environment = subprocess.PIPE, {**os.environ, **login}
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)

    def answer(self, location: str, sql: str) -> Answer:
        seen = self(location, "query", sql)
        assert seen.code == 0, seen.facts
        names = tuple(name for name, *_ in seen.facts["columns"][0])
        return Answer(names, tuple(tuple(row) for row in seen.rows))


def _seen(process: subprocess.Popen[str], told: str | None = None) -> Seen:
    """Waits for a program, which is told something first, and reads what it printed."""
    try:
        printed, complaint = process.communicate(told, timeout=240)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    seen = Seen(process.returncode)
    for line in printed.splitlines():
        topic, _, fact = line.partition("\t")
        seen.facts[topic].append(json.loads(fact))
    assert seen.facts or seen.code == 0, complaint
    return seen


def _built(done: subprocess.CompletedProcess[str], what: str) -> None:
    unreachable = ("dial tcp", "Could not resolve", "could not resolve", "download of config.json failed", "ENOTFOUND")
    if done.returncode != 0 and any(sign in done.stderr + done.stdout for sign in unreachable):
        pytest.skip(f"the packages of the {what} cannot be fetched")
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def _building(made: Path, source: Path) -> Iterator[bool]:
    """Alone among the processes of a test run; says whether there is something to build.

    What is up to date is left alone, because another process may be running it.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(path.stat().st_mtime for path in source.iterdir())
        yield not made.exists() or made.stat().st_mtime < newest


@cache
def _go() -> list[str]:
    program, source = CACHE / "flight_go", HERE / "flight_go"
    with _building(program, source) as needed:
        if needed:
            _built(run([tool("go"), "build", "-o", str(program), "."], source), "Go client")
    return [str(program)]


@cache
def _rust() -> list[str]:
    target = CACHE / "rust"
    folder = str(HERE / "flight_rust" / "Cargo.toml")
    command = [tool("cargo"), "build", "--quiet", "--locked", "--manifest-path", folder, "--target-dir", str(target)]
    _built(run(command, timeout=900), "Rust client")
    return [str(target / "debug" / "flight_rust")]


@cache
def _node() -> list[str]:
    folder, source = CACHE / "node", HERE / "flight_node"
    with _building(folder / "node_modules" / ".package-lock.json", source) as needed:
        if needed:
            shutil.rmtree(folder, ignore_errors=True)  # npm does not mend what an install that failed has left
            shutil.copytree(source, folder)
            command = [tool("npm"), "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
            _built(run(command, folder), "Node client")
    return [tool("node"), str(folder / "client.js")]


@cache
def _jdbc() -> list[str]:
    classes = CACHE / "java"
    classes.mkdir(parents=True, exist_ok=True)
    jar = jdbc_driver()
    source = HERE / "flight_java"
    with _building(classes / "Client.class", source) as needed:
        if needed:
            _built(run([tool("javac"), "-d", str(classes), str(source / "Client.java")]), "Java client")
    return [tool("java"), *JVM, "-cp", f"{classes}{os.pathsep}{jar}", "Client"]


def jdbc_driver(version: str = JDBC_VERSION) -> Path:
    """The driver's jar from Maven Central, fetched once."""
    jar = REPOSITORY / version / f"flight-sql-jdbc-driver-{version}.jar"
    if not jar.exists():
        plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:get"
        artifact = f"-Dartifact=org.apache.arrow:flight-sql-jdbc-driver:{version}"
        done = run([tool("mvn"), "-q", "-B", plugin, artifact, "-Dtransitive=false"])
        if not jar.exists():
            pytest.skip(f"the JDBC driver {version} cannot be fetched: {done.stdout[-200:]}")
    return jar


GO, RUST, NODE, JDBC = Program(_go), Program(_rust), Program(_node), Program(_jdbc)


def _of_table(table: pa.Table) -> Answer:
    return Answer(tuple(table.column_names), tuple(tuple(row.values()) for row in table.to_pylist()))


def adbc(location: str, sql: str) -> Answer:
    with flight_sql.connect(location, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return Answer(tuple(column[0] for column in cursor.description), tuple(cursor.fetchall()))


def bare_pyarrow(location: str, sql: str) -> Answer:
    with flight.connect(location) as client:
        info = client.get_flight_info(flight.FlightDescriptor.for_command(sql.encode()))
        return _of_table(client.do_get(info.endpoints[0].ticket).read_all())


def pandas(location: str, sql: str) -> Answer:
    with flight_sql.connect(location, autocommit=True) as connection:
        frame = pd.read_sql(sql, connection, dtype_backend="pyarrow")
    rows = zip(*(frame[name].array._pa_array.to_pylist() for name in frame), strict=True) if len(frame.columns) else ()
    return Answer(tuple(frame.columns), tuple(rows))


def polars(location: str, sql: str) -> Answer:
    with flight_sql.connect(location, autocommit=True) as connection:
        frame = pl.read_database(sql, connection)
    return Answer(tuple(frame.columns), tuple(frame.rows()))


def duckdb_arrow(location: str, sql: str) -> Answer:
    """DuckDB scans the stream of the ADBC driver, as its users do without an extension."""
    with flight_sql.connect(location, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        with duckdb.connect() as database:
            database.execute("SET TimeZone = 'UTC'")
            found = database.from_arrow(cursor.fetch_record_batch())
            return _of_table(found.to_arrow_table())


CLIENTS: dict[str, Callable[[str, str], Answer]] = {
    "adbc": adbc,
    "pyarrow": bare_pyarrow,
    "pandas": pandas,
    "polars": polars,
    "duckdb": duckdb_arrow,
    "go": GO.answer,
    "rust": RUST.answer,
    "node": NODE.answer,
    "jdbc": JDBC.answer,
}


def main() -> None:
    """Builds the programs whose tools are here, so that no test waits for a compiler."""
    for name, build, needed in (
        ("Go", _go, "go"),
        ("Rust", _rust, "cargo"),
        ("Node", _node, "npm"),
        ("JDBC", _jdbc, "javac"),
    ):
        if shutil.which(needed) is None:
            print(f"{name}: {needed} is not installed")
            continue
        try:
            print(f"{name}: {build()[-1]}", flush=True)
        except pytest.skip.Exception as error:
            print(f"{name}: {error}")


if __name__ == "__main__":
    main()
