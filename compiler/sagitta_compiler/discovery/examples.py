"""Canonical queries by what they are about."""

from __future__ import annotations

from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from sagitta_compiler.discovery.find import similarity
from sagitta_compiler.model.resolved import Example, ResolvedModel

_THRESHOLD = 0.6


@dataclass(frozen=True, slots=True)
class ExamplesFound:
    """The examples of a model, or those with an intent; `suggestion` says what to ask when there is none."""

    examples: tuple[Example, ...]
    suggestion: str | None = None


def examples(model: ResolvedModel, intent: str | None = None) -> ExamplesFound:
    """Returns the examples whose tags match an intent: the whole tag, else a part of it, else what looks alike."""
    if intent is None or not intent.strip():
        return ExamplesFound(model.examples)
    wanted = intent.strip().casefold()
    for matches in (_equals, _holds, _resembles):
        found = tuple(e for e in model.examples if any(matches(tag.casefold(), wanted) for tag in e.intent_tags))
        if found:
            return ExamplesFound(found)
    return ExamplesFound((), _suggestion(model, intent))


def example(model: ResolvedModel, name: str) -> Example | None:
    """Returns an example by its name."""
    return next((e for e in model.examples if e.name == name), None)


def _equals(tag: str, wanted: str) -> bool:
    return tag == wanted


def _holds(tag: str, wanted: str) -> bool:
    return wanted in tag


def _resembles(tag: str, wanted: str) -> bool:
    edits = Levenshtein.normalized_similarity(tag, wanted)
    return max(edits, 0.6 * similarity(tag, wanted) + 0.4 * edits) >= _THRESHOLD


def _suggestion(model: ResolvedModel, intent: str) -> str:
    tags = ", ".join(dict.fromkeys(tag for e in model.examples for tag in e.intent_tags))
    return f"no examples for '{intent}'; available tags: {tags or 'none'}"
