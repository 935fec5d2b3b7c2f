"""Questions to a model's graph in SPARQL: SELECT and ASK, nothing that writes and nothing that fetches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from pyparsing.exceptions import ParseBaseException
from rdflib import Graph, Variable
from rdflib.plugins.sparql.algebra import translateQuery
from rdflib.plugins.sparql.evaluate import evalQuery
from rdflib.plugins.sparql.parser import parseQuery, parseUpdate
from rdflib.plugins.sparql.parserutils import CompValue
from rdflib.plugins.sparql.sparql import Query as Algebra

from sagitta_compiler.ontology.answer import SparqlError, SparqlForm, SparqlResult

MAX_QUERY_LENGTH = 100_000
"""Characters."""
MAX_DEPTH = 100
"""Brackets inside brackets; the parser descends once per level."""

_REFUSED = "Only SELECT and ASK are answered; the graph is read-only."
_VARIABLE = re.compile(r"[?$](\w+)")
_OPENING, _CLOSING = "{([", "})]"


@dataclass(frozen=True, slots=True)
class Question:
    """A SELECT or ASK that stays inside the graph. `SELECT *` has no order of its variables: `in_text_order` then."""

    algebra: Algebra
    in_text_order: tuple[str, ...] = ()


def parse_sparql(text: str) -> Question:
    """Returns the algebra of a SELECT or ASK over the graph alone.

    Raises:
        SparqlError: anything else, with the place of a syntax error.
    """
    if len(text) > MAX_QUERY_LENGTH:
        raise SparqlError(f"A query has at most {MAX_QUERY_LENGTH:,} characters; this one has {len(text):,}.")
    if not text.strip():
        raise SparqlError("The query is empty.")
    if _depth(text) > MAX_DEPTH:
        raise SparqlError(f"Brackets are nested more than {MAX_DEPTH} deep.")
    try:
        parsed = parseQuery(text)
    except ParseBaseException as error:
        raise SparqlError(_REFUSED if _is_update(text) else f"Invalid SPARQL: {_sentence(error)}") from None
    except RecursionError:
        raise SparqlError("The query is nested too deeply.") from None
    question = parsed[1]
    if question.name not in ("SelectQuery", "AskQuery"):
        raise SparqlError(_REFUSED)
    if question.datasetClause:
        raise SparqlError("FROM is not allowed: the only graph is the model's.")
    if any(part.name == "ServiceGraphPattern" for part in _parts(question)):
        raise SparqlError("SERVICE is not allowed: a query stays inside the model's graph.")
    try:
        algebra = translateQuery(parsed)
    except RecursionError:
        raise SparqlError("The query is nested too deeply.") from None
    except Exception as error:  # noqa: BLE001 - rdflib raises bare Exceptions for unknown prefixes and scoping mistakes
        raise SparqlError(f"Invalid SPARQL: {_sentence(error)}") from None
    if question.name == "AskQuery" or "projection" in question:
        return Question(algebra)
    return Question(algebra, tuple(dict.fromkeys(_VARIABLE.findall(text))))


def run_sparql(graph: Graph, text: str, *, max_rows: int) -> SparqlResult:
    """Answers a question; at most `max_rows` solutions, and `truncated` says whether there are more.

    Evaluation cannot be interrupted from inside: whoever takes questions from strangers runs this in a process that can
    be ended.

    Raises:
        SparqlError: the text cannot be answered.
    """
    question = parse_sparql(text)
    try:
        answer = evalQuery(graph, question.algebra)
        if answer["type_"] == "ASK":
            return SparqlResult(SparqlForm.ASK, boolean=bool(answer["askAnswer"]))
        variables = _in_order((str(variable) for variable in answer["vars_"]), question.in_text_order)
        found = list(islice((_solution(bindings, variables) for bindings in answer["bindings"]), max_rows + 1))
    except RecursionError:
        raise SparqlError("The query is nested too deeply.") from None
    except MemoryError:
        raise SparqlError("The query needs too much memory.") from None
    except Exception as error:  # noqa: BLE001 - rdflib lets every error of a query's own functions escape as it is
        raise SparqlError(f"The query cannot be evaluated: {_sentence(error)}") from None
    return SparqlResult(SparqlForm.SELECT, variables, tuple(found[:max_rows]), truncated=len(found) > max_rows)


def _solution(bindings: Mapping[Variable, object], variables: tuple[str, ...]) -> Mapping[str, str | None]:
    values = ((name, bindings.get(Variable(name))) for name in variables)
    return {name: None if value is None else str(value) for name, value in values}


def _in_order(names: Iterable[str], order: tuple[str, ...]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(names))
    return tuple(sorted(unique, key=order.index)) if order else unique


def _sentence(error: Exception) -> str:
    return f"{(str(error) or type(error).__name__).rstrip('.')}."


def _is_update(text: str) -> bool:
    try:
        parseUpdate(text)
    except (ParseBaseException, RecursionError):
        return False
    return True


def _depth(text: str) -> int:
    """The deepest nesting of brackets; those in literals count too, which only matters far beyond what people write."""
    depth = deepest = 0
    for character in text:
        if character in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif character in _CLOSING:
            depth -= 1
    return deepest


def _parts(node: object) -> Iterator[CompValue]:
    """Every part of a parsed query, whatever it is nested in."""
    waiting: list[object] = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, CompValue):
            yield part
            waiting.extend(part.values())
        elif not isinstance(part, str) and hasattr(part, "__iter__"):
            waiting.extend(part)
