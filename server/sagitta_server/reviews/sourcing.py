"""Semantic sources resolved to their content: files, connected dictionaries, other datasets, generated drafts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from sagitta_server.reviews.ai import AiProvider, AiUnavailableError, EmbeddedProvider, draft_request
from sagitta_server.reviews.candidates import Content
from sagitta_server.reviews.dictionaries import DictionaryContent, DictionaryReader, StoredFile, new_source
from sagitta_server.reviews.enums import BusinessSummarySource, SemanticSourceType, TrustLevel
from sagitta_server.reviews.environment import Environment
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.metrics import AI_CALLS
from sagitta_server.reviews.names import norm, schema_overlap
from sagitta_server.reviews.recovery import with_conditions, without_conditions
from sagitta_server.reviews.semantics import apply_to_review
from sagitta_server.reviews.settle import Context
from sagitta_server.reviews.summary import summary_text
from sagitta_server.reviews.values import Condition, Review

log = logging.getLogger("sagitta.reviews")
_UNAVAILABLE = "AI_PROVIDER_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A source after reading."""

    content: Content
    duplicates: int = 0
    condition: Condition | None = None
    """What is wrong with the provider of generated drafts."""
    summary: str | None = None
    """The dataset's summary in an external model's words."""
    note: str | None = None
    """What it cost, for the session's events; never a text of the provider."""


class SourceResolver:
    """Reads sources; slow and outside of transactions."""

    def __init__(
        self, environment: Callable[[str], Environment], dictionaries: DictionaryReader, ai: AiProvider
    ) -> None:
        self._environment = environment
        self._dictionaries = dictionaries
        self._ai = ai

    def resolve(
        self, review: Review, kind: SemanticSourceType, ref: str, find_upload: Callable[[str], StoredFile | None]
    ) -> Resolved:
        """The content of a source.

        Raises:
            ReviewError: it does not exist, or cannot be used.
        """
        match kind:
            case SemanticSourceType.UPLOADED_FILE:
                return _from_dictionary(review, self._dictionaries.uploaded(ref, find_upload))
            case SemanticSourceType.CONNECTED_DICTIONARY:
                return _from_dictionary(review, self._dictionaries.connected(ref))
            case SemanticSourceType.REFERENCE_DATASET | SemanticSourceType.NEIGHBOR_DATASET:
                return self._from_dataset(review, kind, ref)
            case SemanticSourceType.AI_GENERATED:
                return self._generated(review, ref)

    def _from_dataset(self, review: Review, kind: SemanticSourceType, ref: str) -> Resolved:
        assert review.dataset is not None
        environment = self._environment(review.session.environment_id)
        texts = environment.dataset_texts(kind, ref, review.dataset, review.session.owner_id)
        source = new_source(kind, ref, texts.display_name, texts.trust_level)
        overlap = texts.overlap
        if overlap is None:
            overlap = schema_overlap(_columns(review), frozenset(norm(e.field_name) for e in texts.entries))
        return Resolved(Content(replace(source, schema_overlap_score=overlap), texts.entries))

    def _generated(self, review: Review, ref: str) -> Resolved:
        provider = {"default": self._ai, "embedded": EmbeddedProvider(), self._ai.name: self._ai}.get(ref)
        if provider is None:
            raise ReviewError("semantic_source_not_found", "Generated drafts come from default or embedded.")
        source = new_source(SemanticSourceType.AI_GENERATED, ref, "Generated drafts", TrustLevel.GENERATED)
        request = draft_request(review)
        try:
            drafts = provider.propose_fields(request)
            external = not isinstance(provider, EmbeddedProvider)
            summary = provider.write_summary(request, summary_text(review)) if external else None
        except AiUnavailableError as error:
            AI_CALLS.labels("failed").inc()
            log.warning("the AI provider did not give a usable answer: %s", error)
            message = "The configured AI provider gave no usable answer; the built-in drafts are shown instead."
            entries = EmbeddedProvider().propose_fields(request).entries
            return Resolved(Content(source, entries), condition=Condition(_UNAVAILABLE, message, "ai"))
        if external:
            AI_CALLS.labels("ok").inc(drafts.calls + 1)  # and the summary
        note = f"AI provider {provider.name}: {drafts.calls} calls, {drafts.tokens} tokens" if external else None
        return Resolved(Content(source, drafts.entries), summary=summary, note=note)


def apply_resolved(review: Review, kind: SemanticSourceType, resolved: Resolved, context: Context) -> Review:
    """The review with a resolved source applied; an owner's summary is never replaced."""
    applied = apply_to_review(review, resolved.content, context, resolved.duplicates)
    if kind is not SemanticSourceType.AI_GENERATED:
        return applied
    applied = without_conditions(applied, _UNAVAILABLE)
    if resolved.condition is not None:
        return with_conditions(applied, [resolved.condition])
    if resolved.summary is None or applied.profile.manual_summary_locked:
        return applied
    profile = replace(
        applied.profile,
        business_summary=resolved.summary,
        business_summary_source=BusinessSummarySource.AI_DRAFT,
    )
    return replace(applied, profile=profile)


def _from_dictionary(review: Review, read: DictionaryContent) -> Resolved:
    described = frozenset(norm(e.field_name) for e in read.entries)
    source = replace(read.source, schema_overlap_score=schema_overlap(_columns(review), described))
    return Resolved(Content(source, read.entries, read.rejected), read.duplicates)


def _columns(review: Review) -> frozenset[str]:
    return frozenset(norm(c.name) for c in review.dataset.columns) if review.dataset else frozenset()
