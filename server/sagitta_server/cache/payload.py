"""Results as Arrow IPC files: written once, checked whenever they are read."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from sagitta_server.execution.source import RecordBatchReader, Schema

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


class PayloadError(Exception):
    """The file is not what was written."""


@dataclass(frozen=True, slots=True)
class PayloadInfo:
    """What tells a complete file from a damaged one."""

    size_bytes: int
    checksum: int


def write_payload(path: Path, schema: Schema, batches: Sequence[Any]) -> PayloadInfo:
    """Writes an Arrow IPC stream; the file appears under its name only when it is complete."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=_OPTIONS) as writer:
        for batch in batches:
            writer.write_batch(batch)
    content = sink.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            file.write(content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return PayloadInfo(content.size, zlib.crc32(content))


def read_payload(path: Path, expected: PayloadInfo) -> RecordBatchReader:
    """Returns a reader over the mapped file; removing the file does not disturb it.

    Raises:
        PayloadError: the content is damaged.
        FileNotFoundError: another process removed it.
    """
    with pa.memory_map(str(path)) as file:
        content = file.read_buffer()
    if PayloadInfo(content.size, zlib.crc32(content)) != expected:
        raise PayloadError(f"{path.name} is damaged")
    return pa.ipc.open_stream(content)
