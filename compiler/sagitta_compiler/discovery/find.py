"""Finding by name or synonym; what only looks alike is offered when nothing else is found."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rapidfuzz.distance import Levenshtein

from sagitta_compiler.model.resolved import DataObject, Dimension, Measure, Metric, ResolvedModel

TYPES: Final = ("dimension", "measure", "metric", "data_object")
THRESHOLD: Final = 0.5
LIMIT: Final = 10
_TRIGRAM_WEIGHT, _EDIT_WEIGHT = 0.6, 0.4
_FEW_EDITS = 2
_MAX_QUERY = 200


@dataclass(frozen=True, slots=True)
class Match:
    """A name that holds the searched text; `match_field` is `name` or `synonym`."""

    type: str
    name: str
    match_field: str
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class FuzzyMatch:
    """A name that looks like the searched text."""

    name: str
    kind: str
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found; fuzzy matches only when there is no other."""

    query: str
    exact_matches: tuple[Match, ...] = ()
    synonym_matches: tuple[Match, ...] = ()
    fuzzy_matches: tuple[FuzzyMatch, ...] = ()

    @property
    def results(self) -> tuple[Match, ...]:
        return self.exact_matches + self.synonym_matches


def find(model: ResolvedModel, query: str, types: Collection[str] = TYPES) -> Found:
    """Searches names and synonyms, ignoring case; the whole name comes before a part of it.

    Args:
        model: where to search.
        query: the text, in full or in part.
        types: the kinds to search: `dimension`, `measure`, `metric`, `data_object`.
    """
    wanted = query.strip().casefold()
    named = list(_names(model, types))
    if not wanted:
        return Found(query)
    exact = [Match(kind, name, "name") for kind, name, _ in named if wanted in name.casefold()]
    exact.sort(key=lambda match: match.name.casefold() != wanted)
    taken = {(match.type, match.name) for match in exact}
    synonyms = tuple(
        Match(kind, name, "synonym")
        for kind, name, others in named
        if (kind, name) not in taken and any(wanted in other.casefold() for other in others)
    )
    if exact or synonyms:
        return Found(query, tuple(exact), synonyms)
    return Found(query, fuzzy_matches=_fuzzy(wanted[:_MAX_QUERY], named))


def _names(model: ResolvedModel, types: Collection[str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yields kind, name and synonyms."""
    sections: dict[str, Mapping[str, Dimension | Measure | Metric | DataObject]] = {
        "dimension": model.dimensions,
        "measure": model.measures,
        "metric": model.metrics,
        "data_object": model.objects,
    }
    for kind, section in sections.items():
        if kind in types:
            for name, item in section.items():
                yield kind, name, item.about.synonyms


def _fuzzy(wanted: str, named: list[tuple[str, str, tuple[str, ...]]]) -> tuple[FuzzyMatch, ...]:
    best: list[FuzzyMatch] = []
    for kind, name, others in named:
        matches = [_compare(wanted, text, name, kind) for text in (name, *others)]
        best.append(max(matches, key=lambda match: match.score))
    kept = [match for match in best if match.score >= THRESHOLD]
    return tuple(sorted(kept, key=lambda match: (-match.score, match.name))[:LIMIT])


def _compare(wanted: str, text: str, name: str, kind: str) -> FuzzyMatch:
    other = text.casefold()
    edits = Levenshtein.distance(wanted, other)
    similar = 1 - edits / max(len(wanted), len(other), 1)
    score = round(_TRIGRAM_WEIGHT * similarity(wanted, other) + _EDIT_WEIGHT * similar, 3)
    reason = f"edit distance: {edits}" if edits <= _FEW_EDITS else "trigram overlap"
    return FuzzyMatch(name, kind, score, reason if text == name else f"synonym '{text}', {reason}")


def similarity(a: str, b: str) -> float:
    """Returns the share of character trigrams that two texts have in common (Jaccard), their ends padded."""
    left, right = _trigrams(a), _trigrams(b)
    return len(left & right) / len(left | right) if left | right else 0.0


def _trigrams(text: str) -> set[str]:
    padded = f"  {text} "
    return {padded[at : at + 3] for at in range(len(padded) - 2)}
