"""One extraction: asks for the parts, pulls them in parallel, tries a part again alone, counts what it wrote."""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from pyarrow import flight
from sagitta.flight.sql import FlightSql_pb2 as fs

from sagitta_server.cli.output import Format, writer
from sagitta_server.extraction import manifest as manifests
from sagitta_server.extraction.manifest import Manifest, Part
from sagitta_server.flight.commands import pack
from sagitta_server.flight.tickets import TICKET_REFUSED

Progress = Callable[[int, int | None], None]
"""Takes rows that arrived (negative when a part begins anew) and, once, how many there will be."""

FIRST_WAIT_SECONDS = 0.5
PARTITIONS = b"x-sagitta-partitions"
COUNT_ROWS = b"x-sagitta-count-rows"
SNAPSHOT_GONE = "SNAPSHOT_GONE"


class ExtractionError(Exception):
    """The job cannot go on; what is complete stays."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Asked:
    """What the server says of the result."""

    rows: int
    snapshot: str
    tickets: tuple[str, ...]


class Job:
    """Pulls one query into one folder."""

    def __init__(
        self,
        query: str,
        folder: Path,
        kind: str,
        *,
        partitions: int,
        server: str,
        token: str | None,
        retries: int,
        ca: bytes | None = None,
    ) -> None:
        self._query = query
        self._folder = folder
        self._kind = kind
        self._partitions = partitions
        self._server = server
        self._retries = retries
        self._tls = {"tls_root_certs": ca} if ca else {}
        self._headers = [(b"authorization", b"Bearer " + token.encode())] if token else []
        self._lock = threading.Lock()
        self._manifest: Manifest | None = None

    def run(self, jobs: int, progress: Progress, *, restart: bool = False) -> Manifest:
        """Pulls every part that is not complete yet; returns the manifest of the finished job.

        Raises:
            ExtractionError: a part failed too often, or the rows do not add up.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._keep(self._begin(restart))
            assert self._manifest is not None
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
        if found is not None and found.snapshot:  # its tickets show what the parts that are here show
            return found
        with self._connect() as client:
            asked = self._ask(client)
        if found is not None:
            return _continued(found, asked)
        return _begun(self._query, self._kind, self._server, self._partitions, asked)

    def _connect(self) -> Any:
        return flight.connect(self._server, **self._tls)

    def _ask(self, client: Any) -> Asked:
        headers = [(PARTITIONS, str(self._partitions).encode()), (COUNT_ROWS, b"true"), *self._headers]
        found = client.get_flight_info(_descriptor(self._query), flight.FlightCallOptions(headers=headers))
        notes = orjson.loads(found.app_metadata or b"{}")
        tickets = tuple(base64.b64encode(endpoint.ticket.ticket).decode() for endpoint in found.endpoints)
        return Asked(found.total_records, notes.get("snapshot", ""), tickets)

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
            self._keep(self._manifest.with_part(part))

    def _keep(self, manifest: Manifest) -> None:
        self._manifest = manifest
        manifests.write(self._folder, manifest)

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
                self._renew(error)
        raise AssertionError("unreachable")

    def _renew(self, error: Exception) -> None:
        """Asks for new tickets where the old ones are refused: they have expired, or the server was replaced."""
        if _refusal(error) not in (TICKET_REFUSED, SNAPSHOT_GONE):
            return
        try:
            with self._connect() as client:
                asked = self._ask(client)
        except (flight.FlightError, pa.ArrowException, OSError):
            return  # the next attempt says what is wrong
        with self._lock:
            assert self._manifest is not None
            self._keep(_continued(self._manifest, asked))

    def _pull_once(self, part: Part, count: Callable[[int], None]) -> Part:
        target = self._folder / part.file
        partial = self._folder / f".{part.file}.partial"
        with self._lock:
            assert self._manifest is not None
            ticket = flight.Ticket(base64.b64decode(self._manifest.tickets[part.index]))
        rows = 0
        with self._connect() as client, partial.open("wb") as file:
            reader = client.do_get(ticket, flight.FlightCallOptions(headers=self._headers))
            out = writer(Format(self._kind), reader.schema, file, 0)
            for chunk in reader:
                out.write(chunk.data)
                rows += chunk.data.num_rows
                count(chunk.data.num_rows)
            out.close()
            file.flush()
            os.fsync(file.fileno())
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
                f"{self._manifest.rows:,} rows arrived, the whole result had {self._manifest.expected_rows:,}.",
                "The data changed meanwhile; begin anew with --restart.",
            )


def _begun(query: str, kind: str, server: str, partitions: int, asked: Asked) -> Manifest:
    count = len(asked.tickets)
    parts = tuple(Part(index, manifests.file_name(index, count, kind)) for index in range(count))
    return Manifest(query, kind, server, asked.rows, partitions, asked.snapshot, asked.tickets, parts)


def _continued(found: Manifest, asked: Asked) -> Manifest:
    """The manifest with new tickets.

    Raises:
        ExtractionError: the parts that are missing would not fit those that are here.
    """
    if not found.same_data(asked.rows, asked.snapshot, len(asked.tickets)):
        raise ExtractionError(
            "DATA_CHANGED",
            f"The result has {asked.rows:,} rows now; it had {found.expected_rows:,} when the job began."
            if asked.rows != found.expected_rows
            else "Somebody may have written since the job began: the parts that are missing are of another moment.",
            "Begin anew with --restart.",
        )
    return replace(found, tickets=asked.tickets)


def _refusal(error: Exception) -> str:
    """The code in the details of a server's refusal; empty for any other failure."""
    status = status_pb2.Status()
    info = error_details_pb2.ErrorInfo()
    try:
        status.ParseFromString(getattr(error, "extra_info", b"") or b"")
    except DecodeError:
        return ""
    return next((info.metadata.get("code", "") for detail in status.details if detail.Unpack(info)), "")


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
