"""Exports as JSON, with the names of the contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields as fields_of
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from sagitta_server.reviews.enums import CandidateStatus, FieldKind, FieldProvenance
from sagitta_server.reviews.exports.validation import effective_gates
from sagitta_server.reviews.exports.wording import runs_as
from sagitta_server.reviews.settle import ordered_findings
from sagitta_server.reviews.values import Review

FORMAT_VERSION = 1
_JSON_VALUES = frozenset(
    {"raw_value", "normalized_value", "default_value", "raw_input_value", "effective_value", "template_params"}
)
_INTERNAL = frozenset(
    {"cause", "topic", "type_group", "trust_level", "is_placeholder", "is_template", "origin", "task_id", "shape",
     "is_escaped", "keeps_operator", "is_invalid", "owner_note", "removable", "import_task_id", "chosen_dataset",
     "stale_reason", "flight_ticket", "flight_endpoints", "flight_schema", "flight_expires_at", "cancel_requested"}
)  # fmt: skip


def documentation_json(review: Review, now: datetime) -> bytes:
    """What the dataset means and how it is read."""
    document = {
        "format_version": FORMAT_VERSION,
        "session": _plain(review.session),
        "profile": {**_plain(review.profile), "runs_as": runs_as(review)},
        "columns": [_plain(f) for f in review.fields if f.field_kind is FieldKind.COLUMN],
        "metrics": [_plain(f) for f in review.fields if f.field_kind is FieldKind.METRIC],
        "filters": [_plain(f) for f in review.filters],
        "variables": [_plain(v) for v in review.variables],
        "mappings": [_plain(m) for m in review.mappings],
        "sources": [_plain(s) for s in review.sources],
        "preview": None
        if review.preview is None
        else {"status": review.preview.preview_status.value, "compiled_sql": review.preview.compiled_sql},
        "run": None if review.run is None else _plain(review.run),
        "decisions": list(_decisions(review)),
        "generated_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return _dumps(document)


def validation_json(review: Review, now: datetime) -> bytes:
    """Gates, findings, questions and their totals."""
    shown = ordered_findings(review)
    totals: dict[str, Counter[str]] = {}
    for finding in shown:
        totals.setdefault(finding.severity.value, Counter())[finding.resolution_state.value] += 1
    document = {
        "format_version": FORMAT_VERSION,
        "session": _plain(review.session),
        "readiness_state": review.session.readiness_state.value,
        "gates": [
            {"gate": g.gate, "passed": g.passed, "code": g.code, "message": g.message or None, "refs": list(g.refs)}
            for g in effective_gates(review)
        ],
        "findings": [_plain(f) for f in shown],
        "questions": [_plain(q) for q in review.questions],
        "totals": {severity: dict(counter) for severity, counter in totals.items()},
        "generated_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return _dumps(document)


def run_summary_json(review: Review, now: datetime) -> bytes:
    """What a run did."""
    document = {
        "format_version": FORMAT_VERSION,
        "session": _plain(review.session),
        "run": None if review.run is None else _plain(review.run),
        "generated_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return _dumps(document)


def _decisions(review: Review) -> Iterable[dict[str, Any]]:
    for item in review.fields:
        accepted = next((c for c in item.candidates if c.status is CandidateStatus.ACCEPTED), None)
        if item.provenance is FieldProvenance.MANUAL_OVERRIDE or accepted is not None:
            yield {
                "field_id": item.field_id,
                "field_name": item.field_name,
                "provenance": item.provenance.value,
                "candidate_id": accepted.candidate_id if accepted else None,
                "changed_by": item.last_changed_by.value,
            }


def _plain(value: object) -> dict[str, Any]:
    return {
        f.name: _part(f.name, getattr(value, f.name))
        for f in fields_of(value)  # type: ignore[arg-type]
        if f.name not in _INTERNAL
    }


def _part(name: str, value: Any) -> Any:
    if name in _JSON_VALUES:
        return orjson.Fragment(value)
    if isinstance(value, tuple):
        return [_part("", item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if hasattr(value, "__dataclass_fields__"):
        return _plain(value)
    return value


def _dumps(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
