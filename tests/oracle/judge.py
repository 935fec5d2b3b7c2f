"""Puts the compiler and the naive evaluator before the same question."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from enum import StrEnum

from oracle import values as v
from oracle.compare import differences, show
from oracle.database import as_rows
from oracle.engines import Engine
from oracle.evaluate import Result, evaluate
from oracle.queries import Case
from oracle.reading import read_case
from sagitta_compiler import CompileError, compile_query


class Verdict(StrEnum):
    """What came of a case."""

    EQUAL = "equal"
    REFUSED = "refused by both"
    UNDECIDED = "undecided"
    WRONG = "wrong rows"
    NOT_REFUSED = "answered though it has no meaning"
    REFUSED_ALONE = "refused though it has a meaning"
    FAILED = "failed"

    @property
    def is_disagreement(self) -> bool:
        return self not in (Verdict.EQUAL, Verdict.REFUSED, Verdict.UNDECIDED)


@dataclass(frozen=True)
class Outcome:
    """The verdict on a case, with what a person needs to judge it."""

    verdict: Verdict
    reason: str = ""
    details: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    sql: str = ""
    expected: Result | None = None


def judge(case: Case, database: Engine) -> Outcome:
    """Compares the two answers to a case; the compiler writes in the engine's dialect."""
    model, query, context = read_case(case)
    try:
        expected: Result | v.RefusedError | v.UndecidedError = evaluate(model, query, as_rows(case.tables), context)
    except v.RefusedError as refusal:
        expected = refusal
    except v.UndecidedError as silence:
        expected = silence
    try:
        compiled = compile_query(model, query, replace(context, dialect=database.dialect))
    except CompileError as error:
        return _refusal(expected, tuple(d.code for d in error.diagnostics if d.is_error), str(error))
    except Exception:  # noqa: BLE001 - a crash is a finding, not an end
        return Outcome(Verdict.FAILED, "the compiler raised", (traceback.format_exc(limit=-4),))
    if isinstance(expected, v.UndecidedError):
        return Outcome(Verdict.UNDECIDED, str(expected))
    if isinstance(expected, v.RefusedError):
        return Outcome(Verdict.NOT_REFUSED, expected.reason, sql=compiled.sql)
    database.load(case.tables)
    try:
        columns, rows = database.run(compiled.sql)
    except database.errors as error:
        return Outcome(Verdict.FAILED, "the database refused the SQL", (str(error),), sql=compiled.sql)
    found = differences(expected, columns, rows, exact=database.exact)
    verdict = Verdict.WRONG if found else Verdict.EQUAL
    return Outcome(verdict, found[0] if found else "", tuple(found), sql=compiled.sql, expected=expected)


_OF_THE_QUERY = (
    "AMBIGUOUS_JOIN_PATH",
    "ANCHOR_REQUIRED_AMBIGUOUS_KEY",
    "FILTER_ON_CONFORMED_OBJECT",
    "GRAIN_NOT_SUBSET",
    "NO_JOIN_PATH_TO_SUBQUERY",
    "UNREACHABLE_REQUIRED_OBJECT",
    "UNKNOWN_FILTER_FIELD",
    "INVALID_MEASURE_FILTER",
    "GRAIN_NOT_SUBSET",
)
"""A query with two mistakes may be refused for either."""


def _refusal(expected: Result | v.RefusedError | v.UndecidedError, codes: tuple[str, ...], message: str) -> Outcome:
    if isinstance(expected, v.UndecidedError):
        return Outcome(Verdict.UNDECIDED, str(expected), codes=codes)
    if isinstance(expected, v.RefusedError):
        if set(codes) & {*expected.codes, *_OF_THE_QUERY}:
            return Outcome(Verdict.REFUSED, expected.reason, codes=codes)
        return Outcome(Verdict.REFUSED_ALONE, f"{message}; the judge: {expected.reason} {expected.codes}", codes=codes)
    return Outcome(Verdict.REFUSED_ALONE, message, codes=codes, expected=expected)


def describe(outcome: Outcome) -> str:
    """Prints an outcome for a person."""
    lines = [f"{outcome.verdict}: {outcome.reason}", *(f"  {line}" for line in outcome.details[:8])]
    if outcome.expected is not None:
        lines.append(f"expected {list(outcome.expected.columns)}")
        lines.extend(f"  {show(row)}" for row in outcome.expected.rows[:40])
    if outcome.sql:
        lines.append(outcome.sql)
    return "\n".join(lines)
