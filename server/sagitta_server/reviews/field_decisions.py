"""What the owner decides about a field: accept a candidate, write it by hand, lock it, unlock it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime

from sagitta_server.reviews.candidates import accept, supersede_open
from sagitta_server.reviews.enums import ChangedByKind, FieldProvenance, QuestionState, ResolutionState
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.values import Candidate, Field, Finding, Review

LIMITS = {"verbose_name": 1024, "description": 65_535, "display_format": 128}
"""Longest text of each attribute, in characters: what Superset's columns hold."""
_KEPT_CONTROLS = "\n\t"
_TAGS = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class FieldUpdate:
    """The body of a field update; `given` names the texts that are present, also as null."""

    candidate_id: str | None = None
    texts: tuple[tuple[str, str | None], ...] = ()
    lock_field: bool = False
    resolution_note: str | None = None


def find_field(review: Review, field_id: str) -> Field:
    """The field of this review.

    Raises:
        ReviewError: `field_not_found`.
    """
    found = next((f for f in review.fields if f.field_id == field_id), None)
    if found is None:
        raise ReviewError("field_not_found", "This session has no such field.")
    return found


def update_field(review: Review, field_id: str, update: FieldUpdate, now: datetime) -> Review:
    """The review after a field update.

    Raises:
        ReviewError: nothing is given, both kinds are, a text is too long, or the candidate is unknown.
    """
    item = find_field(review, field_id)
    if update.candidate_id is not None and update.texts:
        raise ReviewError("ambiguous_field_update", "Give either candidate_id or texts, not both.")
    if update.candidate_id is not None:
        decided = accept(item, find_candidate(item, update.candidate_id), ChangedByKind.USER)
        decided = replace(decided, is_locked=decided.is_locked or update.lock_field)
        return settle_findings(with_field(review, decided), field_id, update.resolution_note, now)
    if update.texts:
        return settle_findings(
            with_field(review, write_by_hand(item, dict(update.texts))), field_id, update.resolution_note, now
        )
    if update.lock_field:
        locked = with_field(review, lock(item))
        return _with_note(locked, field_id, update.resolution_note)
    if update.resolution_note is not None:
        return _with_note(review, field_id, update.resolution_note)
    raise ReviewError("empty_update", "Give candidate_id, a text, lock_field or resolution_note.")


def write_by_hand(item: Field, texts: dict[str, str | None]) -> Field:
    """The field with the owner's own texts, locked: what a person wrote is never overwritten."""
    cleaned = {name: _clean(name, text) for name, text in texts.items()}
    return replace(
        item,
        verbose_name=cleaned.get("verbose_name", item.verbose_name),
        description=cleaned.get("description", item.description),
        display_format=cleaned.get("display_format", item.display_format),
        provenance=FieldProvenance.MANUAL_OVERRIDE,
        source_id=None,
        confidence_rank=None,
        is_locked=True,
        has_conflict=False,
        needs_review=False,
        last_changed_by=ChangedByKind.USER,
        candidates=supersede_open(item.candidates),
    )


def lock(item: Field) -> Field:
    """Automatic writers skip the field from now on; a conflict ends with it."""
    return replace(item, is_locked=True, has_conflict=False)


def unlock(item: Field) -> Field:
    """Automatic writers may change the field the next time a source is applied."""
    return replace(item, is_locked=False)


def with_field(review: Review, changed: Field) -> Review:
    """The review with one field replaced."""
    return replace(review, fields=tuple(changed if f.field_id == changed.field_id else f for f in review.fields))


def find_candidate(item: Field, candidate_id: str) -> Candidate:
    """The candidate of this field.

    Raises:
        ReviewError: `candidate_not_found`.
    """
    found = next((c for c in item.candidates if c.candidate_id == candidate_id), None)
    if found is None:
        raise ReviewError("candidate_not_found", "This field has no such candidate.")
    return found


def settle_findings(review: Review, field_id: str, note: str | None, now: datetime) -> Review:
    """The findings that the field caused are resolved, its open question is superseded."""
    ref = f"field:{field_id}"
    findings = tuple(_resolve(f, note, now) if f.caused_by_ref == ref else f for f in review.findings)
    questions = tuple(
        replace(q, state=QuestionState.SUPERSEDED) if q.topic_ref == ref and q.state is QuestionState.OPEN else q
        for q in review.questions
    )
    return replace(review, findings=findings, questions=questions)


def clean_text(text: str | None, limit: int) -> str | None:
    """A text from outside: tags and control characters removed, trimmed, cut; None when nothing is left."""
    if text is None:
        return None
    return _without_controls(_TAGS.sub("", text)).strip()[:limit] or None


def _clean(name: str, text: str | None) -> str | None:
    if text is None:
        return None
    if len(text) > LIMITS[name]:
        raise ReviewError(
            "value_too_long",
            f"{name} may have {LIMITS[name]} characters, this has {len(text)}.",
            {"field": name, "limit": LIMITS[name], "length": len(text)},
        )
    return _without_controls(text) or None


def _without_controls(text: str) -> str:
    return "".join(c for c in text if c in _KEPT_CONTROLS or unicodedata.category(c) not in {"Cc", "Cs"})


def _resolve(finding: Finding, note: str | None, now: datetime) -> Finding:
    if finding.resolution_state in {ResolutionState.RESOLVED, ResolutionState.APPROVED}:
        return replace(finding, resolution_note=note or finding.resolution_note)
    return replace(
        finding,
        resolution_state=ResolutionState.RESOLVED,
        resolution_note=note or "decided by the owner",
        resolved_at=now,
    )


def _with_note(review: Review, field_id: str, note: str | None) -> Review:
    if note is None:
        return review
    ref = f"field:{field_id}"
    findings = tuple(replace(f, resolution_note=note) if f.caused_by_ref == ref else f for f in review.findings)
    return replace(review, findings=findings)
