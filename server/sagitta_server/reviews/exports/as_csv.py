"""Exports as CSV (RFC 4180, UTF-8 with a byte order mark), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from sagitta_server.reviews.settle import ordered_findings
from sagitta_server.reviews.values import Review

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def fields_csv(review: Review) -> bytes:
    """One row per field."""
    names = {s.source_id: s.display_name for s in review.sources}
    header = (
        "field_kind", "field_name", "verbose_name", "description", "display_format", "provenance", "confidence_rank",
        "source", "is_locked", "needs_review", "has_conflict",
    )  # fmt: skip
    rows = (
        (
            f.field_kind.value,
            f.field_name,
            f.verbose_name,
            f.description,
            f.display_format,
            f.provenance.value,
            f.confidence_rank,
            names.get(f.source_id or "", ""),
            f.is_locked,
            f.needs_review,
            f.has_conflict,
        )
        for f in review.fields
    )
    return _csv(header, rows)


def findings_csv(review: Review) -> bytes:
    """One row per finding."""
    header = (
        "severity", "area", "code", "title", "message", "resolution_state", "resolution_note", "caused_by_ref",
        "created_at", "resolved_at",
    )  # fmt: skip
    rows = (
        (
            f.severity.value,
            f.area.value,
            f.code,
            f.title,
            f.message,
            f.resolution_state.value,
            f.resolution_note,
            f.caused_by_ref,
            f.created_at.isoformat() if f.created_at else None,
            f.resolved_at.isoformat() if f.resolved_at else None,
        )
        for f in ordered_findings(review)
    )
    return _csv(header, rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return b"\xef\xbb\xbf" + buffer.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
