"""Candidates for the meaning of a field: found, scored, ranked, applied.

Rules: names equal -> tier 1 (dictionaries) or 2 (other datasets); names alike -> tier 3; written by a model -> tier 4.
Tiers 1 and 2 are applied unless the field is locked; 3 and 4 wait for the owner. The order in which sources are applied
does not change the winner, because the winner is always the best of all recorded candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sagitta_server.reviews.enums import (
    CandidateStatus,
    ChangedByKind,
    FieldKind,
    FieldProvenance,
    MatchType,
    SemanticSourceType,
    TrustLevel,
)
from sagitta_server.reviews.names import norm, similarity
from sagitta_server.reviews.values import Candidate, Field, Source

MAX_CANDIDATES = 10
FUZZY_THRESHOLD = 0.55
CONFLICT_SCORE = 0.75
_CERTAIN_REFERENCE = 0.80
_GENERATED_CEILING = 0.60
_OWN_METADATA_SCORE = 0.90
_TYPE_PENALTY = 0.10

TIERS = {MatchType.EXACT: 1, MatchType.REFERENCE: 2, MatchType.FUZZY: 3, MatchType.GENERATED: 4}
"""Tier of a match type; a field's `confidence_rank` once a candidate is accepted."""

_TRUST_ORDER = {trust: position for position, trust in enumerate(TrustLevel)}
_REFERENCE_BASE = {TrustLevel.TRUSTED: 0.95, TrustLevel.RECOMMENDED: 0.85, TrustLevel.CANDIDATE: 0.75}
_FUZZY_FACTOR = {TrustLevel.TRUSTED: 1.0, TrustLevel.RECOMMENDED: 0.95, TrustLevel.CANDIDATE: 0.9}
_PROVENANCE = {
    MatchType.EXACT: FieldProvenance.DICTIONARY_EXACT,
    MatchType.REFERENCE: FieldProvenance.REFERENCE_IMPORTED,
    MatchType.FUZZY: FieldProvenance.FUZZY_INFERRED,
    MatchType.GENERATED: FieldProvenance.AI_GENERATED,
}
_DICTIONARIES = {SemanticSourceType.UPLOADED_FILE, SemanticSourceType.CONNECTED_DICTIONARY}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a source says about one field."""

    field_name: str
    verbose_name: str | None = None
    description: str | None = None
    display_format: str | None = None
    kind: FieldKind | None = None
    table_name: str | None = None
    type_group: str | None = None
    score: float | None = None
    """A generating model's own confidence, 0 to 1."""

    @property
    def says_something(self) -> bool:
        """It proposes at least one text."""
        return any((self.verbose_name, self.description, self.display_format))


@dataclass(frozen=True, slots=True)
class Content:
    """The entries of a source, read and cleaned."""

    source: Source
    entries: tuple[Entry, ...]
    rejected: int = 0
    """Rows that could not be used."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Fields after a source was applied, and what happened."""

    fields: tuple[Field, ...]
    matched: int
    """Fields that the source proposes something for by name."""
    applied: int
    """Fields whose texts it gave."""
    skipped_locked: int
    """Locked fields that it would have changed."""


def own_metadata_candidate(new_id: Callable[[], str], entry: Entry) -> Candidate | None:
    """The dataset's own stored label and description as a candidate; None when it stores nothing."""
    if not entry.says_something:
        return None
    return Candidate(
        candidate_id=new_id(),
        match_type=MatchType.REFERENCE,
        confidence_score=_OWN_METADATA_SCORE,
        trust_level=TrustLevel.RECOMMENDED,
        proposed_verbose_name=entry.verbose_name,
        proposed_description=entry.description,
        proposed_display_format=entry.display_format,
    )


def apply_content(fields: tuple[Field, ...], content: Content, table_name: str, new_id: Callable[[], str]) -> Outcome:
    """Records the candidates of a source and applies what may be applied.

    Args:
        fields: all fields of the review.
        content: the source's entries.
        table_name: name of the reviewed dataset; entries that name a table must name this one.
        new_id: makes candidate ids.
    """
    index = _Index(content, table_name)
    result: list[Field] = []
    matched = applied = locked = 0
    for item in fields:
        if item.field_kind not in {FieldKind.COLUMN, FieldKind.METRIC}:
            result.append(item)
            continue
        found = index.best(item, new_id)
        recorded = record(item, found, content.source.source_id)
        after = settle_field(recorded)
        matched += any(c.match_type is not MatchType.FUZZY for c in found)
        if item.is_locked:
            locked += _would_change(recorded)
        applied += not item.is_locked and _is_from(after, content.source.source_id) and bool(found)
        result.append(after)
    return Outcome(tuple(result), matched, applied, locked)


def record(item: Field, found: Iterable[Candidate], source_id: str | None) -> Field:
    """Replaces what the source proposed before by what it proposes now; what the owner decided stays."""
    kept = tuple(c for c in item.candidates if c.source_id != source_id or _is_decided(item, c))
    fresh = []
    for candidate in found:
        if any(c.source_id == source_id and _proposal(c) == _proposal(candidate) for c in kept):
            continue
        before = next(
            (c for c in item.candidates if c.source_id == source_id and _proposal(c) == _proposal(candidate)), candidate
        )
        fresh.append(replace(candidate, candidate_id=before.candidate_id))
    return replace(item, candidates=rank((*kept, *fresh), keeps_accepted=_owner_accepted(item) or item.is_locked))


def rank(candidates: Iterable[Candidate], *, keeps_accepted: bool = False) -> tuple[Candidate, ...]:
    """Best first, equal proposals once (the best source's), at most `MAX_CANDIDATES`.

    With `keeps_accepted` the accepted one stays whatever its place: the owner chose it.
    """
    unique: dict[tuple[str, str, str], Candidate] = {}
    for candidate in sorted(candidates, key=_order):
        held = unique.setdefault(_proposal(candidate), candidate)
        chosen = keeps_accepted and candidate.status is CandidateStatus.ACCEPTED
        if chosen and held.status is not CandidateStatus.ACCEPTED:
            unique[_proposal(candidate)] = candidate
    ordered = sorted(unique.values(), key=_order)
    late = ordered[MAX_CANDIDATES:] if keeps_accepted else []
    accepted = [c for c in late if c.status is CandidateStatus.ACCEPTED]
    shown = [*ordered[: MAX_CANDIDATES - len(accepted)], *accepted]
    return tuple(replace(c, candidate_rank=position) for position, c in enumerate(shown, start=1))


def settle_field(item: Field) -> Field:
    """The field with the texts that its candidates give it, as a function of their set and not of their order.

    A locked field keeps everything; so does one whose candidate the owner accepted, until a better tier arrives. Where
    strong candidates disagree, the dataset's own texts (else the best ones) are shown and the field is in conflict.
    """
    if item.is_locked:
        return item
    automatic = [c for c in item.candidates if TIERS[c.match_type] <= 2 and _is_open(c)]
    if not automatic:
        waiting = item.provenance is FieldProvenance.UNRESOLVED and any(_is_open(c) for c in item.candidates)
        return replace(item, needs_review=True) if waiting else item
    if _owner_accepted(item) and (item.confidence_rank or 0) <= TIERS[automatic[0].match_type]:
        return item
    conflict = _conflicts(automatic)
    own = next((c for c in automatic if c.source_id is None), None)
    winner = own if conflict and own is not None else automatic[0]
    taken = _take(item, winner, [winner, *automatic], ChangedByKind.SYSTEM)
    certain = winner.match_type is MatchType.EXACT or (
        winner.trust_level is TrustLevel.TRUSTED and winner.confidence_score >= _CERTAIN_REFERENCE
    )
    return replace(taken, has_conflict=conflict, needs_review=conflict or not certain)


def accept(item: Field, candidate: Candidate, by: ChangedByKind) -> Field:
    """The owner takes a candidate: its texts are copied, the other open ones are superseded."""
    taken = _take(item, candidate, [candidate], by)
    return replace(
        taken,
        candidates=supersede_open(taken.candidates, candidate.candidate_id),
        has_conflict=False,
        needs_review=False,
    )


def supersede_open(candidates: Iterable[Candidate], except_id: str | None = None) -> tuple[Candidate, ...]:
    """The candidates with every undecided or formerly accepted one superseded, apart from `except_id`."""
    return tuple(
        replace(c, status=CandidateStatus.SUPERSEDED) if c.candidate_id != except_id and _is_open(c) else c
        for c in candidates
    )


def _take(item: Field, winner: Candidate, texts_from: list[Candidate], by: ChangedByKind) -> Field:
    return replace(
        item,
        verbose_name=_first((c.proposed_verbose_name for c in texts_from), item.verbose_name),
        description=_first((c.proposed_description for c in texts_from), item.description),
        display_format=_first((c.proposed_display_format for c in texts_from), item.display_format),
        provenance=_PROVENANCE[winner.match_type],
        source_id=winner.source_id,
        confidence_rank=TIERS[winner.match_type],
        last_changed_by=by,
        candidates=tuple(_with_winner(c, winner) for c in item.candidates),
    )


def _with_winner(candidate: Candidate, winner: Candidate) -> Candidate:
    if candidate.candidate_id == winner.candidate_id:
        return replace(candidate, status=CandidateStatus.ACCEPTED)
    if candidate.status is CandidateStatus.ACCEPTED:
        return replace(candidate, status=CandidateStatus.PROPOSED)
    return candidate


class _Index:
    """The entries of one source, found by name."""

    def __init__(self, content: Content, table_name: str) -> None:
        self._source = content.source
        self._table = norm(table_name)
        self._by_norm: dict[str, list[Entry]] = {}
        self._entries = tuple(e for e in content.entries if e.says_something and self._names_us(e))
        for entry in self._entries:
            self._by_norm.setdefault(norm(entry.field_name), []).append(entry)

    def best(self, item: Field, new_id: Callable[[], str]) -> tuple[Candidate, ...]:
        named = tuple(
            self._named(item, entry, new_id)
            for entry in self._by_norm.get(norm(item.field_name), ())
            if _same_kind(item, entry)
        )
        if named:
            return named
        if self._source.source_type is SemanticSourceType.AI_GENERATED:
            return ()
        return self._fuzzy(item, new_id)

    def _names_us(self, entry: Entry) -> bool:
        return entry.table_name is None or norm(entry.table_name) == self._table

    def _named(self, item: Field, entry: Entry, new_id: Callable[[], str]) -> Candidate:
        if self._source.source_type is SemanticSourceType.AI_GENERATED:
            score = min(entry.score if entry.score is not None else 0.30, _GENERATED_CEILING)
            return self._candidate(entry, MatchType.GENERATED, score, new_id)
        if self._source.source_type in _DICTIONARIES:
            return self._candidate(entry, MatchType.EXACT, _exact_score(item, entry), new_id)
        base = _REFERENCE_BASE.get(self._source.trust_level, 0.75)
        score = base * (0.8 + 0.2 * (self._source.schema_overlap_score or 0.0))
        if entry.type_group is not None and entry.type_group != item.type_group:
            score -= _TYPE_PENALTY
        return self._candidate(entry, MatchType.REFERENCE, score, new_id)

    def _fuzzy(self, item: Field, new_id: Callable[[], str]) -> tuple[Candidate, ...]:
        factor = 0.85 * _FUZZY_FACTOR.get(self._source.trust_level, 0.9)
        scored = (
            (similarity(item.field_name, entry.field_name), entry) for entry in self._entries if _same_kind(item, entry)
        )
        alike = sorted((pair for pair in scored if pair[0] >= FUZZY_THRESHOLD), key=lambda pair: -pair[0])
        return tuple(
            self._candidate(entry, MatchType.FUZZY, factor * score, new_id) for score, entry in alike[:MAX_CANDIDATES]
        )

    def _candidate(self, entry: Entry, match: MatchType, score: float, new_id: Callable[[], str]) -> Candidate:
        return Candidate(
            candidate_id=new_id(),
            match_type=match,
            confidence_score=round(max(0.0, score), 4),
            source_id=self._source.source_id,
            trust_level=self._source.trust_level,
            proposed_verbose_name=entry.verbose_name,
            proposed_description=entry.description,
            proposed_display_format=entry.display_format,
        )


def _exact_score(item: Field, entry: Entry) -> float:
    if entry.field_name.casefold() != item.field_name.casefold():
        return 0.95
    return 1.0 if entry.table_name is not None else 0.98


def _same_kind(item: Field, entry: Entry) -> bool:
    return entry.kind is None or entry.kind is item.field_kind


def _order(candidate: Candidate) -> tuple[object, ...]:
    return (
        TIERS[candidate.match_type],
        _TRUST_ORDER[candidate.trust_level],
        -candidate.confidence_score,
        _proposal(candidate),
        candidate.source_id or "",
        candidate.candidate_id,
    )


def _proposal(candidate: Candidate) -> tuple[str, str, str]:
    return (
        candidate.proposed_verbose_name or "",
        candidate.proposed_description or "",
        candidate.proposed_display_format or "",
    )


def _is_open(candidate: Candidate) -> bool:
    return candidate.status in {CandidateStatus.PROPOSED, CandidateStatus.ACCEPTED}


def _owner_accepted(item: Field) -> bool:
    return item.last_changed_by is ChangedByKind.USER and item.provenance not in {
        FieldProvenance.MANUAL_OVERRIDE,
        FieldProvenance.UNRESOLVED,
    }


def _is_decided(item: Field, candidate: Candidate) -> bool:
    if candidate.status is CandidateStatus.REJECTED:
        return True
    return (_owner_accepted(item) or item.is_locked) and candidate.status is not CandidateStatus.PROPOSED


def _conflicts(automatic: list[Candidate]) -> bool:
    strong = [c for c in automatic if c.confidence_score >= CONFLICT_SCORE]
    return any(
        a.source_id != b.source_id and _differ(a, b)
        for position, a in enumerate(strong)
        for b in strong[position + 1 :]
    )


def _differ(a: Candidate, b: Candidate) -> bool:
    pairs = (
        (a.proposed_verbose_name, b.proposed_verbose_name),
        (a.proposed_description, b.proposed_description),
    )
    return any(x and y and norm(x) != norm(y) for x, y in pairs)


def _would_change(item: Field) -> bool:
    best = next((c for c in item.candidates if TIERS[c.match_type] <= 2), None)
    if best is None:
        return False
    pairs = (
        (best.proposed_verbose_name, item.verbose_name),
        (best.proposed_description, item.description),
        (best.proposed_display_format, item.display_format),
    )
    return any(proposed and proposed != current for proposed, current in pairs)


def _is_from(item: Field, source_id: str) -> bool:
    return item.source_id == source_id


def _first(proposals: Iterable[str | None], current: str | None) -> str | None:
    return next((p for p in proposals if p), current)
