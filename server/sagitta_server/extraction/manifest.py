"""What an extraction has done so far, as a file that survives a kill at any moment."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

NAME = "manifest.json"
VERSION = 2


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the result; `rows` is None until its file is complete."""

    index: int
    file: str
    rows: int | None = None
    size: int = 0

    @property
    def done(self) -> bool:
        return self.rows is not None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A job: what was asked, how many rows there are, and its parts."""

    query: str
    format: str
    server: str
    expected_rows: int
    partitions: int
    """Parts that were asked for; the server may cut into fewer."""
    snapshot: str = ""
    """What all parts show, where the server says so: parts of another moment do not fit them."""
    tickets: tuple[str, ...] = ()
    """The tickets of the parts in base64; they are good for whoever asked, for a while."""
    parts: tuple[Part, ...] = field(default=())
    version: int = VERSION

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return sum(part.rows or 0 for part in self.parts)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return sum(part.size for part in self.parts)

    def with_part(self, part: Part) -> Manifest:
        """Returns the manifest with a part in the place of the one before."""
        return replace(self, parts=tuple(part if p.index == part.index else p for p in self.parts))

    def same_job(self, query: str, kind: str, partitions: int) -> bool:
        """Whether a job that asks this may go on from here."""
        return (self.query, self.format, self.partitions) == (query, kind, partitions)

    def same_data(self, rows: int, snapshot: str, parts: int) -> bool:
        """Whether parts of a result fit those that are here."""
        return (self.expected_rows, self.snapshot, len(self.parts)) == (rows, snapshot, parts)


def read(folder: Path) -> Manifest | None:
    """Returns the manifest of a folder; None when there is none that this release can read."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if found.get("version") != VERSION:
        return None
    parts = tuple(Part(**part) for part in found.pop("parts"))
    return Manifest(**{**found, "tickets": tuple(found["tickets"]), "parts": parts})


def write(folder: Path, manifest: Manifest) -> None:
    """Replaces the manifest; a reader sees the old one or the new one, never half of it."""
    partial = folder / f".{NAME}.partial"
    with partial.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / NAME)


def file_name(index: int, count: int, kind: str) -> str:
    """Returns the name of a part's file: `part-03-of-16.parquet`."""
    width = len(str(count))
    return f"part-{index + 1:0{width}}-of-{count}.{kind}"
