"""A semantic source applied to a review."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sagitta_server.reviews.candidates import Content, Outcome, apply_content
from sagitta_server.reviews.enums import SemanticSourceStatus
from sagitta_server.reviews.recovery import with_conditions, without_conditions
from sagitta_server.reviews.settle import Context
from sagitta_server.reviews.values import Condition, Review, Source

_ABOUT_SOURCES = (
    "SEMANTIC_SOURCE_NO_OVERLAP",
    "SEMANTIC_SOURCE_FAILED",
    "SEMANTIC_SOURCE_DUPLICATES",
    "SEMANTIC_LOCKED_SKIPPED",
)


def apply_to_review(review: Review, content: Content, context: Context, duplicates: int = 0) -> Review:
    """The review with a source's candidates recorded and applied, and the source's status and conditions set."""
    source = _recorded(review, content.source)
    dataset_name = review.dataset.name if review.dataset else ""
    outcome = apply_content(review.fields, replace(content, source=source), dataset_name, context.new_id)
    settled = replace(source, status=_status(content, outcome))
    changed = replace(_with_source(review, settled), fields=outcome.fields)
    ref = f"source:{source.source_id}"
    cleared = without_conditions(changed, *_ABOUT_SOURCES, ref=ref)
    if settled.status is not SemanticSourceStatus.REJECTED:
        cleared = without_conditions(cleared, "SEMANTIC_SOURCE_NO_OVERLAP")
    return with_conditions(cleared, _conditions(settled, outcome, duplicates, ref))


def with_failed_source(review: Review, source: Source, message: str) -> Review:
    """The review with a source on record that could not be read."""
    failed = replace(_recorded(review, source), status=SemanticSourceStatus.FAILED)
    condition = Condition("SEMANTIC_SOURCE_FAILED", message, f"source:{failed.source_id}")
    return with_conditions(_with_source(review, failed), [condition])


def _recorded(review: Review, source: Source) -> Source:
    """The source under the id that the same type and reference already have."""
    known = next(
        (s for s in review.sources if (s.source_type, s.source_ref) == (source.source_type, source.source_ref)), None
    )
    if known is None:
        return source
    return replace(source, source_id=known.source_id, created_at=known.created_at)


def _with_source(review: Review, source: Source) -> Review:
    if any(s.source_id == source.source_id for s in review.sources):
        sources = tuple(source if s.source_id == source.source_id else s for s in review.sources)
    else:
        sources = (*review.sources, source)
    return replace(review, sources=sources)


def _status(content: Content, outcome: Outcome) -> SemanticSourceStatus:
    if outcome.matched == 0:
        return SemanticSourceStatus.REJECTED
    if content.rejected or outcome.skipped_locked:
        return SemanticSourceStatus.PARTIAL
    return SemanticSourceStatus.APPLIED


def _conditions(source: Source, outcome: Outcome, duplicates: int, ref: str) -> Iterator[Condition]:
    if outcome.matched == 0:
        yield Condition("SEMANTIC_SOURCE_NO_OVERLAP", f"{source.display_name} names none of the fields.", ref)
    if duplicates:
        yield Condition(
            "SEMANTIC_SOURCE_DUPLICATES",
            f"{source.display_name} names {duplicates} fields more than once; the first row of each was used.",
            ref,
        )
    if outcome.skipped_locked:
        yield Condition(
            "SEMANTIC_LOCKED_SKIPPED",
            f"{outcome.skipped_locked} locked fields kept their texts although {source.display_name} has others.",
            ref,
        )
