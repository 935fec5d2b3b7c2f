"""Names made comparable: normal form, whole words, and how alike two names are."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import Any

from rapidfuzz.distance import Levenshtein

_CAMEL = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = re.compile(r"[\W_]+")
_CONTAINS_BONUS = 0.15


@lru_cache(maxsize=65_536)
def norm(name: str) -> str:
    """Normal form: NFKC, camel case split, case folded, every run of other characters one `_`.

    Scripts without case pass through; nothing is transliterated.
    """
    text = _CAMEL.sub("_", unicodedata.normalize("NFKC", name))
    return _SEPARATORS.sub("_", text.casefold()).strip("_")


@lru_cache(maxsize=65_536)
def expand(name: str) -> tuple[str, ...]:
    """Whole words of a name, abbreviations written out and plurals removed: `cust_ids` -> `("customer", "id")`."""
    return tuple(_whole_word(token) for token in norm(name).split("_") if token)


@lru_cache(maxsize=65_536)
def similarity(left: str, right: str) -> float:
    """How alike two names are, from 0 to 1; 0 when they differ in words of opposite meaning.

    Half the shared words, three tenths the edit distance of the joined words, two tenths the shared trigrams, and a
    bonus when one name holds all words of the other.
    """
    a, b = expand(left), expand(right)
    if not a or not b or _opposed(frozenset(a), frozenset(b)):
        return 0.0
    first, second = "_".join(a), "_".join(b)
    score = (
        0.5 * _jaccard(frozenset(a), frozenset(b))
        + 0.3 * (1.0 - Levenshtein.distance(first, second) / max(len(first), len(second)))
        + 0.2 * _jaccard(_trigrams(first), _trigrams(second))
    )
    if frozenset(a) <= frozenset(b) or frozenset(b) <= frozenset(a):
        score += _CONTAINS_BONUS
    return min(score, 1.0)


def schema_overlap(columns: frozenset[str], others: frozenset[str]) -> float:
    """Share of `columns` that also occur in `others`, both in normal form."""
    return len(columns & others) / len(columns) if columns else 0.0


@lru_cache(maxsize=1)
def _words() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "abbreviations.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=65_536)
def _whole_word(token: str) -> str:
    table: dict[str, str] = _words()["abbreviations"]
    if token in table:
        return table[token]
    return table.get(_singular(token), _singular(token))


def _singular(token: str) -> str:
    if len(token) > 4 and token.endswith("ies"):
        return token[:-3] + "y"
    if len(token) > 3 and token.endswith("s") and not token.endswith(("ss", "us", "is")):
        return token[:-1]
    return token


@lru_cache(maxsize=1)
def _exclusive_sets() -> tuple[frozenset[str], ...]:
    opposites = _words()["opposites"]
    return tuple(frozenset(words) for words in (*opposites["pairs"], *opposites["exclusive"]))


def _opposed(a: frozenset[str], b: frozenset[str]) -> bool:
    return any((a & words) and (b & words) and not (a & b & words) for words in _exclusive_sets())


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    union = len(a | b)
    return len(a & b) / union if union else 0.0


def _trigrams(text: str) -> frozenset[str]:
    padded = f"  {text} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))
