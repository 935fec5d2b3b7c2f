"""One extraction: asks for the parts, pulls them in parallel, tries a part again alone, counts what it wrote."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pyarrow import flight
from sagitta.flight.sql import FlightSql_pb2 as fs

from sagitta_server.cli.output import Format, writer
from sagitta_server.extraction import manifest as manifests
from sagitta_server.extraction.manifest import Manifest, Part
from sagitta_server.flight.commands import pack

Progress = Callable[[int, int | None], None]
"""Takes rows that arrived (negative when a part begins anew) and, once, how many there will be."""

FIRST_WAIT_SECONDS = 0.5


class ExtractionError(Exception):
    """The job cannot go on; what is complete stays."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Job:
    """Pulls one query into one folder."""

    def __init__(
        self, query: str, folder: Path, kind: str, *, partitions: int, server: str, token: str | None, retries: int
    ) -> None:
        self._query = query
        self._folder = folder
        self._kind = kind
        self._partitions = partitions
        self._server = server
        self._retries = retries
        self._headers = [(b"authorization", b"Bearer " + token.encode())] if token else []
        self._lock = threading.Lock()
        self._manifest: Manifest | None = None
        self._tickets: list[Any] = []

    def run(self, jobs: int, progress: Progress, *, restart: bool = False) -> Manifest:
        """Pulls every part that is not complete yet; returns the manifest of the finished job.

        Raises:
            ExtractionError: a part failed too often, or the rows do not add up.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._manifest = self._begin(restart)
            progress(self._manifest.rows, self._manifest.expected_rows)
            self._pull_all(jobs, progress)
        except flight.FlightError as error:
            raise _told(error) from error
        self._verify()
        return self._manifest

    def _begin(self, restart: bool) -> Manifest:
        """Goes on from the folder's manifest, or starts a new one."""
        found = None if restart else manifests.read(self._folder)
        if found is not None and not found.same_job(self._query, self._kind, self._partitions):
            raise ExtractionError(
                "OTHER_EXTRACTION",
                f"{self._folder} holds another extraction.",
                "Choose another folder, or begin anew with --restart.",
            )
        with self._connect() as client:
            rows = self._count(client)
            if found is not None and found.expected_rows != rows:
                raise ExtractionError(
                    "DATA_CHANGED",
                    f"The result has {rows:,} rows now; it had {found.expected_rows:,} when the job began.",
                    "Begin anew with --restart.",
                )
            self._tickets = self._ask(client)
        if found is not None:
            return found
        names = [manifests.file_name(i, self._partitions, self._kind) for i in range(self._partitions)]
        started = Manifest(
            self._query, self._kind, self._server, rows, tuple(Part(i, name) for i, name in enumerate(names))
        )
        manifests.write(self._folder, started)
        return started

    def _connect(self) -> Any:
        return flight.connect(self._server)

    def _options(self, partitions: int = 0) -> Any:
        headers = list(self._headers)
        if partitions:
            headers.append((b"x-sagitta-partitions", str(partitions).encode()))
        return flight.FlightCallOptions(headers=headers)

    def _count(self, client: Any) -> int:
        sql = f"SELECT COUNT(*) AS n FROM ({self._query.strip().rstrip(';')}\n) AS extracted"
        found = client.get_flight_info(_descriptor(sql), self._options())
        table = client.do_get(found.endpoints[0].ticket, self._options()).read_all()
        return int(table.column(0)[0].as_py())

    def _ask(self, client: Any) -> list[Any]:
        found = client.get_flight_info(_descriptor(self._query), self._options(self._partitions))
        if len(found.endpoints) != self._partitions:
            raise ExtractionError(
                "PARTITIONS_REFUSED",
                f"The server cuts this result into {len(found.endpoints)} parts, not {self._partitions}.",
                f"Ask for --partitions {len(found.endpoints)}.",
            )
        return [endpoint.ticket for endpoint in found.endpoints]

    def _pull_all(self, jobs: int, progress: Progress) -> None:
        assert self._manifest is not None
        open_parts = [part for part in self._manifest.parts if not part.done]
        with ThreadPoolExecutor(min(jobs, max(len(open_parts), 1)), "extract") as pool:
            running = [pool.submit(self._pull, part, progress) for part in open_parts]
            try:
                for future in as_completed(running):
                    self._finish(future.result())
            except BaseException:
                for future in running:
                    future.cancel()
                raise

    def _finish(self, part: Part) -> None:
        with self._lock:
            assert self._manifest is not None
            self._manifest = self._manifest.with_part(part)
            manifests.write(self._folder, self._manifest)

    def _pull(self, part: Part, progress: Progress) -> Part:
        """Pulls one part, again and again after failures, each time from its beginning."""
        wait = FIRST_WAIT_SECONDS
        for attempt in range(self._retries + 1):
            arrived = 0

            def count(rows: int) -> None:
                nonlocal arrived
                arrived += rows
                progress(rows, None)

            try:
                return self._pull_once(part, count)
            except (flight.FlightError, pa.ArrowException, OSError) as error:
                progress(-arrived, None)
                if attempt == self._retries or isinstance(error, flight.FlightUnauthenticatedError):
                    raise ExtractionError(
                        "PART_FAILED",
                        f"{part.file} failed {attempt + 1} times: {_first_line(error)}",
                        "Run the same command again: it goes on with the parts that are missing.",
                    ) from error
                time.sleep(wait)
                wait *= 2
                self._renew()
        raise AssertionError("unreachable")

    def _renew(self) -> None:
        """Asks for new tickets: the old ones may have expired, or the server been replaced."""
        try:
            with self._connect() as client:
                tickets = self._ask(client)
        except (flight.FlightError, pa.ArrowException, OSError):
            return  # the next attempt says what is wrong
        with self._lock:
            self._tickets = tickets

    def _pull_once(self, part: Part, count: Callable[[int], None]) -> Part:
        target = self._folder / part.file
        partial = self._folder / f".{part.file}.partial"
        with self._lock:
            ticket = self._tickets[part.index]
        rows = 0
        with self._connect() as client, partial.open("wb") as file:
            reader = client.do_get(ticket, self._options())
            out = writer(Format(self._kind), reader.schema, file, 0)
            for chunk in reader:
                out.write(chunk.data)
                rows += chunk.data.num_rows
                count(chunk.data.num_rows)
            out.close()
        partial.replace(target)
        return replace(part, rows=rows, size=target.stat().st_size)

    def _verify(self) -> None:
        """Compares what the files hold with what was counted, and with the whole."""
        assert self._manifest is not None
        for part in self._manifest.parts:
            held = rows_in(self._folder / part.file, self._kind)
            if held != part.rows:
                raise ExtractionError(
                    "ROWS_MISSING", f"{part.file} holds {held:,} rows, {part.rows:,} arrived.", "Use --restart."
                )
        if self._manifest.rows != self._manifest.expected_rows:
            raise ExtractionError(
                "ROWS_MISSING",
                f"{self._manifest.rows:,} rows arrived, the whole result has {self._manifest.expected_rows:,}.",
                "The data changed meanwhile; begin anew with --restart.",
            )


def rows_in(path: Path, kind: str) -> int:
    """Returns the rows that a finished file holds, reading as little of it as possible."""
    match kind:
        case "parquet":
            return int(pa.parquet.read_metadata(path).num_rows)
        case "arrow":
            with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
                return sum(batch.num_rows for batch in reader)
        case _:
            options = pa.csv.ParseOptions(newlines_in_values=True)
            with pa.csv.open_csv(path, parse_options=options) as reader:
                return sum(batch.num_rows for batch in reader)


def _descriptor(sql: str) -> Any:
    return flight.FlightDescriptor.for_command(pack(fs.CommandStatementQuery(query=sql)))


def _told(error: Exception) -> ExtractionError:
    return ExtractionError("SERVER_REFUSED", _first_line(error))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].split(". Detail:", 1)[0]
