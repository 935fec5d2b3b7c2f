"""Data dictionaries: files that users upload and tables behind configured SELECTs, read into entries.

Files are read by the libraries that know their formats; nothing in them is executed, and their size, rows and texts
are bounded.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import re
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import yaml

from sagitta_server.execution import Source as Warehouse
from sagitta_server.execution import SourceError, batches_of
from sagitta_server.reviews.candidates import Entry
from sagitta_server.reviews.enums import FieldKind, SemanticSourceStatus, SemanticSourceType, TrustLevel
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.field_decisions import LIMITS, clean_text
from sagitta_server.reviews.names import norm
from sagitta_server.reviews.settings import DictionarySettings
from sagitta_server.reviews.settle import random_id
from sagitta_server.reviews.values import Source

MAX_ROWS = 50_000
MAX_INLINE_BYTES = 1_048_576
_MAX_UNPACKED = 200 * 1_048_576
_HEADERS = {
    "field": ("column_name", "column", "field", "field_name", "name", "code", "attribute"),
    "table": ("table", "table_name", "dataset", "object"),
    "kind": ("kind", "type_of_field"),
    "label": ("verbose_name", "label", "title", "display_name", "caption"),
    "text": ("description", "comment", "definition", "meaning"),
    "format": ("d3format", "format", "display_format", "number_format"),
}
_MEDIA = {
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/json": "json",
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow",
    "application/vnd.apache.arrow.stream": "arrow",
}
_ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "csv",
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".xlsx": "xlsx",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
_DATA_URL = re.compile(r"data:(?P<media>[\w.+/-]*)(?:;[\w=.+-]+)*;base64,(?P<body>[A-Za-z0-9+/=\s]*)\Z")

Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class DictionaryContent:
    """A dictionary after reading."""

    source: Source
    entries: tuple[Entry, ...]
    rejected: int = 0
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file with its name and media type."""

    file_name: str
    media_type: str
    content: bytes


def _nowhere(environment: str, dataset: int, limit: int) -> Rows:
    del dataset, limit
    raise ReviewError("semantic_source_invalid", f"There is no environment {environment!r} to read a dictionary from.")


class DictionaryReader:
    """Reads dictionaries by reference; connected ones are remembered for a while."""

    def __init__(
        self,
        dictionaries: Mapping[str, DictionarySettings],
        directory: Path | None,
        warehouse: Callable[[DictionarySettings], Warehouse],
        elsewhere: Callable[[str, int, int], Rows] = _nowhere,
    ) -> None:
        """`elsewhere` reads the rows of a dataset: environment, id, and how many at most."""
        self._dictionaries = dictionaries
        self._directory = directory
        self._warehouse = warehouse
        self._elsewhere = elsewhere
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, tuple[tuple[Entry, ...], int, int]]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the connected dictionaries."""
        return tuple(self._dictionaries)

    def display_name(self, name: str) -> str:
        """Name for people of a connected dictionary."""
        return self._dictionaries[name].display_name or name

    def connected(self, ref: str) -> DictionaryContent:
        """A connected dictionary by name, optionally prefixed by `dictionary:`.

        Raises:
            ReviewError: `semantic_source_not_found`, `semantic_source_invalid`.
        """
        name = ref.removeprefix("dictionary:")
        settings = self._dictionaries.get(name)
        if settings is None:
            known = ", ".join(self._dictionaries) or "none"
            raise ReviewError("semantic_source_not_found", f"No dictionary {name!r} is configured; there are: {known}.")
        entries, rejected, duplicates = self._read_connected(name, settings)
        source = new_source(SemanticSourceType.CONNECTED_DICTIONARY, name, self.display_name(name), TrustLevel.TRUSTED)
        return DictionaryContent(source, entries, rejected, duplicates)

    def uploaded(self, ref: str, find_upload: Callable[[str], StoredFile | None]) -> DictionaryContent:
        """A file by reference: `upload:<id>`, `data:<media type>;base64,...` or `file:<name>`.

        Raises:
            ReviewError: `semantic_source_not_found`, `semantic_source_invalid`, `upload_too_large`.
        """
        path, _, sheet = ref.partition("#") if not ref.startswith("data:") else (ref, "", "")
        file = self._file(path, find_upload)
        rows = read_rows(file, sheet or None)
        entries, rejected, duplicates = entries_of(rows)
        shown = file.file_name if not ref.startswith("data:") else "pasted dictionary"
        stored_ref = ref if len(ref) <= 512 else ref[:64] + "…"
        source = new_source(SemanticSourceType.UPLOADED_FILE, stored_ref, shown, TrustLevel.RECOMMENDED)
        return DictionaryContent(source, entries, rejected, duplicates)

    def _file(self, ref: str, find_upload: Callable[[str], StoredFile | None]) -> StoredFile:
        if ref.startswith("data:"):
            return _inline(ref)
        if ref.startswith("file:"):
            return self._configured_file(ref.removeprefix("file:"))
        if ref.startswith("upload:"):
            found = find_upload(ref.removeprefix("upload:"))
            if found is None:
                raise ReviewError("semantic_source_not_found", "There is no such upload; it may have expired.")
            return found
        raise ReviewError(
            "semantic_source_invalid", "A file is named as upload:<id>, data:<type>;base64,... or file:<name>."
        )

    def _configured_file(self, name: str) -> StoredFile:
        missing = ReviewError("semantic_source_not_found", f"The dictionary folder has no file {name!r}.")
        if (
            self._directory is None
            or not name
            or PurePosixPath(name).is_absolute()
            or ".." in PurePosixPath(name).parts
        ):
            raise missing
        path = (self._directory / name).resolve()
        if not path.is_relative_to(self._directory.resolve()) or not path.is_file():
            raise missing
        if path.stat().st_size > 10 * MAX_INLINE_BYTES:
            raise ReviewError("upload_too_large", "A dictionary may have 10 MiB.")
        return StoredFile(path.name, "", path.read_bytes())

    def _read_connected(self, name: str, settings: DictionarySettings) -> tuple[tuple[Entry, ...], int, int]:
        with self._lock:
            held = self._cache.get(name)
            if held is not None and time.monotonic() - held[0] < settings.cache_seconds:
                return held[1]
        read = entries_of(self._select(name, settings))
        with self._lock:
            self._cache[name] = (time.monotonic(), read)
        return read

    def _select(self, name: str, settings: DictionarySettings) -> Rows:
        if settings.dataset is not None:
            return self._elsewhere(settings.environment, settings.dataset, MAX_ROWS)
        try:
            with closing(self._warehouse(settings).execute(settings.query, timeout_seconds=60)) as stream:
                tables = []
                count = 0
                for batch in batches_of(stream):
                    tables.append(pa.Table.from_batches([batch]))
                    count += batch.num_rows
                    if count > MAX_ROWS:
                        break
        except SourceError as error:
            raise ReviewError("semantic_source_invalid", f"The dictionary {name} cannot be read: {error}") from error
        return _table_rows(pa.concat_tables(tables)) if tables else []


def new_source(kind: SemanticSourceType, ref: str, display_name: str, trust: TrustLevel) -> Source:
    """A source that is about to be applied; a review gives it its own id if it knows it already."""
    now = datetime.now(UTC)
    return Source(
        source_id=random_id(),
        source_type=kind,
        source_ref=ref,
        display_name=display_name,
        trust_level=trust,
        status=SemanticSourceStatus.SELECTED,
        created_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
    )


def format_of(file: StoredFile) -> str | None:
    """The format of a file by its ending, else by its media type; None when neither is known."""
    ending = PurePosixPath(file.file_name).suffix.lower()
    return _ENDINGS.get(ending) or _MEDIA.get(file.media_type.partition(";")[0].strip().lower())


def read_rows(file: StoredFile, sheet: str | None = None) -> Rows:
    """The rows of a file, whatever its format.

    Raises:
        ReviewError: `unsupported_media_type`, `semantic_source_invalid`.
    """
    form = format_of(file)
    if form is None:
        known = ", ".join(sorted(set(_ENDINGS)))
        raise ReviewError("unsupported_media_type", f"Files that can be read end in {known}.")
    try:
        return _READERS[form](file.content, sheet)
    except ReviewError:
        raise
    except (pa.ArrowException, ValueError, KeyError, yaml.YAMLError, zipfile.BadZipFile, OSError) as error:
        raise ReviewError("semantic_source_invalid", f"{file.file_name} is not readable {form}.") from error


def entries_of(rows: Rows) -> tuple[tuple[Entry, ...], int, int]:
    """Entries, number of rows that cannot be used, number of fields named more than once.

    Raises:
        ReviewError: no column names fields, or no row is usable.
    """
    entries: dict[tuple[str, str, FieldKind | None], Entry] = {}
    rejected, duplicated, columns = 0, set(), None
    for number, row in enumerate(rows):
        if number >= MAX_ROWS:
            raise ReviewError("upload_too_large", f"A dictionary may have {MAX_ROWS} rows.")
        if columns is None:
            columns = _columns_of(row)
        entry = _entry(row, columns)
        if entry is None:
            rejected += 1
            continue
        key = (norm(entry.table_name or ""), norm(entry.field_name), entry.kind)
        if key in entries:
            duplicated.add(key)
        else:
            entries[key] = entry
    if not entries:
        raise ReviewError("semantic_source_invalid", "The dictionary has no usable rows.")
    return tuple(entries.values()), rejected, len(duplicated)


def _columns_of(row: Mapping[str, Any]) -> dict[str, str]:
    names = {norm(str(header)): str(header) for header in row}
    found = {
        role: next((names[norm(alias)] for alias in aliases if norm(alias) in names), None)
        for role, aliases in _HEADERS.items()
    }
    if found["field"] is None:
        raise ReviewError(
            "semantic_source_invalid",
            f"No column names the fields; expected one of {', '.join(_HEADERS['field'])}.",
            {"columns": [str(header)[:100] for header in row][:50]},
        )
    return {role: header for role, header in found.items() if header is not None}


def _entry(row: Mapping[str, Any], columns: Mapping[str, str]) -> Entry | None:
    def text(role: str, limit: int) -> str | None:
        value = row.get(columns.get(role, ""))
        return None if value is None else clean_text(str(value), limit)

    name = text("field", 1024)
    entry = Entry(
        field_name=name or "",
        verbose_name=text("label", LIMITS["verbose_name"]),
        description=text("text", LIMITS["description"]),
        display_format=text("format", LIMITS["display_format"]),
        kind={"column": FieldKind.COLUMN, "metric": FieldKind.METRIC}.get((text("kind", 32) or "").lower()),
        table_name=text("table", 1024),
    )
    return entry if name and entry.says_something else None


def _inline(ref: str) -> StoredFile:
    match = _DATA_URL.match(ref)
    if match is None:
        raise ReviewError("semantic_source_invalid", "Write data:<media type>;base64,<content>.")
    if len(match["body"]) > MAX_INLINE_BYTES * 4 // 3 + 4:
        raise ReviewError("upload_too_large", "A pasted dictionary may have 1 MiB; upload larger ones.")
    try:
        content = base64.b64decode(match["body"], validate=False)
    except binascii.Error as error:
        raise ReviewError("semantic_source_invalid", "The pasted content is not base64.") from error
    return StoredFile("", match["media"] or "text/csv", content)


def _csv(content: bytes, _sheet: str | None, delimiter: str = ",") -> Rows:
    text = content.removeprefix(b"\xef\xbb\xbf")
    first = text.split(b"\n", 1)[0]
    if delimiter == "," and first.count(b";") > first.count(b","):
        delimiter = ";"
    headers = [h.strip() for h in _header_cells(first.decode("utf-8"), delimiter)]
    options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(headers, pa.string()), strings_can_be_null=True, null_values=[""]
    )
    table = pyarrow.csv.read_csv(
        io.BytesIO(text),
        read_options=pyarrow.csv.ReadOptions(column_names=headers, skip_rows=1),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=options,
    )
    return _table_rows(table)


def _header_cells(line: str, delimiter: str) -> list[str]:
    cells = next(csv.reader([line.strip("\r")], delimiter=delimiter), [])
    return [cell or f"column {position}" for position, cell in enumerate(cells)]


def _xlsx(content: bytes, sheet: str | None) -> Rows:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > _MAX_UNPACKED:
            raise ReviewError("upload_too_large", "The workbook unpacks to more than 200 MiB.")
    import openpyxl  # noqa: PLC0415 (rarely needed, and slow to load)

    workbook = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    if sheet is not None and sheet not in workbook.sheetnames:
        raise ReviewError("semantic_source_invalid", f"The workbook has no sheet {sheet!r}.")
    page = workbook[sheet] if sheet is not None else workbook[workbook.sheetnames[0]]
    rows = page.iter_rows(values_only=True, max_row=MAX_ROWS + 1)
    headers = [str(cell) if cell is not None else "" for cell in next(iter(rows), ())]
    return [dict(zip(headers, row, strict=False)) for row in rows]


def _json(content: bytes, _sheet: str | None) -> Rows:
    return _documents(json.loads(content))


def _yaml(content: bytes, _sheet: str | None) -> Rows:
    text = content.decode("utf-8")
    if re.search(r"(?m)(^|\s)[&*][A-Za-z0-9_]", text):
        raise ReviewError("semantic_source_invalid", "YAML anchors and aliases are not accepted in a dictionary.")
    return _documents(yaml.safe_load(text))


def _documents(value: Any) -> Rows:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()):
        return [{"field": name, **item} for name, item in value.items()]
    raise ReviewError("semantic_source_invalid", "Expected a list of objects, or an object of objects by field name.")


def _parquet(content: bytes, _sheet: str | None) -> Rows:
    return _table_rows(pyarrow.parquet.read_table(pa.BufferReader(content)))


def _arrow(content: bytes, _sheet: str | None) -> Rows:
    opener = pyarrow.ipc.open_file if content.startswith(b"ARROW1") else pyarrow.ipc.open_stream
    return _table_rows(opener(pa.BufferReader(content)).read_all())


def _table_rows(table: Any) -> Sequence[Mapping[str, Any]]:
    if table.num_rows > MAX_ROWS:
        raise ReviewError("upload_too_large", f"A dictionary may have {MAX_ROWS} rows.")
    rows: Sequence[Mapping[str, Any]] = table.to_pylist()
    return rows


def _tsv(content: bytes, sheet: str | None) -> Rows:
    return _csv(content, sheet, delimiter="\t")


_READERS: Mapping[str, Callable[[bytes, str | None], Rows]] = {
    "csv": _csv,
    "tsv": _tsv,
    "xlsx": _xlsx,
    "json": _json,
    "yaml": _yaml,
    "parquet": _parquet,
    "arrow": _arrow,
}
