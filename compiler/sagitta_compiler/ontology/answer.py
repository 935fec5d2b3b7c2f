"""What a question in SPARQL comes to: an answer, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class SparqlForm(StrEnum):
    """The two forms of question."""

    SELECT = "select"
    ASK = "ask"


class SparqlError(Exception):
    """The text is no question that can be answered; the message says why."""


@dataclass(frozen=True, slots=True)
class SparqlResult:
    """The answer: solutions of a SELECT (every variable is a key, unbound ones are None), or the boolean of an ASK."""

    form: SparqlForm
    variables: tuple[str, ...] = ()
    rows: tuple[Mapping[str, str | None], ...] = ()
    boolean: bool | None = None
    truncated: bool = False
