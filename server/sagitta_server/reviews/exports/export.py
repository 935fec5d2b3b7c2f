"""One way from a review to the bytes of an artifact."""

from __future__ import annotations

import re
from datetime import datetime
from typing import assert_never

from sagitta_server.reviews.enums import ArtifactFormat, ArtifactType
from sagitta_server.reviews.exports.as_csv import fields_csv, findings_csv
from sagitta_server.reviews.exports.as_json import documentation_json, run_summary_json, validation_json
from sagitta_server.reviews.exports.as_markdown import markdown
from sagitta_server.reviews.exports.blocks import Document
from sagitta_server.reviews.exports.documentation import documentation
from sagitta_server.reviews.exports.masking import masked
from sagitta_server.reviews.exports.validation import validation
from sagitta_server.reviews.values import Review

_MEDIA = {
    ArtifactFormat.JSON: "application/json",
    ArtifactFormat.MARKDOWN: "text/markdown; charset=utf-8",
    ArtifactFormat.CSV: "text/csv; charset=utf-8; header=present",
    ArtifactFormat.PDF: "application/pdf",
}
_ENDINGS = {
    ArtifactFormat.JSON: "json",
    ArtifactFormat.MARKDOWN: "md",
    ArtifactFormat.CSV: "csv",
    ArtifactFormat.PDF: "pdf",
}


def export_bytes(
    review: Review, kind: ArtifactType, form: ArtifactFormat, now: datetime, *, mask: bool
) -> tuple[bytes, str, str]:
    """Content, media type and file name of an artifact; `mask` replaces filter values by their type and size."""
    shown = masked(review) if mask else review
    name = re.sub(r"[^\w.-]+", "-", review.profile.dataset_name).strip("-.") or "dataset"
    return _content(shown, kind, form, now), _MEDIA[form], f"{name}-{kind.value}.{_ENDINGS[form]}"


def _content(review: Review, kind: ArtifactType, form: ArtifactFormat, now: datetime) -> bytes:
    match form:
        case ArtifactFormat.JSON:
            return _json(review, kind, now)
        case ArtifactFormat.CSV:
            return fields_csv(review) if kind is ArtifactType.DOCUMENTATION else findings_csv(review)
        case ArtifactFormat.MARKDOWN:
            return markdown(_document(review, kind, now)).encode()
        case ArtifactFormat.PDF:
            from sagitta_server.reviews.exports.as_pdf import pdf  # noqa: PLC0415 (its fonts take long to load)

            return pdf(_document(review, kind, now), now)
        case _:
            assert_never(form)


def _json(review: Review, kind: ArtifactType, now: datetime) -> bytes:
    match kind:
        case ArtifactType.DOCUMENTATION:
            return documentation_json(review, now)
        case ArtifactType.VALIDATION_REPORT:
            return validation_json(review, now)
        case ArtifactType.RUN_SUMMARY:
            return run_summary_json(review, now)
        case _:
            assert_never(kind)


def _document(review: Review, kind: ArtifactType, now: datetime) -> Document:
    return documentation(review, now) if kind is ArtifactType.DOCUMENTATION else validation(review, now)
