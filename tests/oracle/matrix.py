"""The pairwise matrix: every kind of measure, kind of metric and clause of a query, crossed two by two.

A cell compiles, runs and equals the evaluator's answer, or is refused with a documented code that says why it has no
meaning. `python -m oracle.matrix` writes docs/feature-matrix.md; a test compares it line by line.
"""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness.share import WHOLE, Share
from oracle import features as f
from oracle.clauses import CLAUSES, POLICIES
from oracle.database import Database
from oracle.engines import Engine
from oracle.judge import Outcome, Verdict, describe, judge
from oracle.queries import Case
from oracle.reading import InvalidCaseError
from oracle.shop import (
    AREAS,
    DIGEST,
    MOVES,
    RETURNS,
    SALES,
    SHOPS,
    TAGS,
    Edit,
    dimensions,
    shop,
    with_digest,
    with_lifetime,
    with_moves,
)
from oracle.worlds import Document, Seeded

PAGE = Path(__file__).parents[2] / "docs" / "feature-matrix.md"
TRIPLES = 400


@dataclass(frozen=True)
class Feature:
    """A row of the matrix: a measure, a metric, or an edit of the query."""

    name: str
    family: str
    numeric: bool = True
    measure: Document | None = None
    metric: Callable[[str], Document] | None = None
    edit: Edit | None = None
    policies: Document = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.family}: {self.name}"


# -- the features ------------------------------------------------------------------------------------------------------


def _measures() -> Iterator[Feature]:
    for kind, build in {**f.MEASURES, **f.NESTED}.items():
        yield Feature(kind, "measure", kind not in f.MEASURES or kind in f.NUMERIC, measure=build(SALES))
    for name, (measure, edit) in _OF_OBJECTS.items():
        yield Feature(name, "measure", measure["aggregation"] != "listagg", measure=measure, edit=edit)


_COUNT = f.MEASURES["count distinct"]
_PRODUCT = f"{{[{SALES}].[Qty]}} * {{[{SHOPS}].[Amount]}}"
_BESIDE = f"{{[{SALES}].[Qty]}} - COALESCE({{[{RETURNS}].[Qty]}}, 0)"
_PEAK = {"over": [f"{SALES} Month"]}
_DEEP = {"aggregation": "max", "expression": "{[Sales mean]}", "over": [f"{SALES} Month"]}
_RATE = {"aggregation": "avg", "expression": "{[Sales rate]}", "over": [f"{SALES} Kind"]}


def _needs(section: str, name: str, document: Document) -> Edit:
    def edit(model: Document, _: Document) -> None:
        model[section][name] = document

    return edit


_OF_OBJECTS: dict[str, tuple[Document, Edit | None]] = {
    "row count": ({"aggregation": "count", "columns": [{"dataObject": SALES}]}, None),
    "one side": (f.SUM(SHOPS), None),
    "one side distinct": (_COUNT(SHOPS), None),
    "one side of the one side": (f.MEASURES["average"](AREAS), None),
    "one side filtered total": ({**f.MEASURES["filtered"](SHOPS), "total": True}, None),
    "one side semi-additive": (f.MEASURES["semi-additive last"](SHOPS), None),
    "one side list": (f.MEASURES["list"](SHOPS), None),
    "across a bridge": (f.SUM(TAGS), None),
    "across a bridge, fan-out allowed": ({**f.SUM(TAGS), "allowFanOut": True}, None),
    "other fact": (f.SUM(RETURNS), None),
    "other fact distinct": (_COUNT(RETURNS), None),
    "other fact without filters": (f.MEASURES["context without filters"](RETURNS), None),
    "other fact semi-additive": (f.MEASURES["semi-additive average"](RETURNS), None),
    "other fact nested": (f.NESTED["nested average"](RETURNS), None),
    "total of the other fact": (f.MEASURES["total"](RETURNS), None),
    "over two objects": ({"aggregation": "sum", "expression": _PRODUCT}, None),
    "over facts, anchored": ({"aggregation": "sum", "expression": _BESIDE, "anchor": SALES}, None),
    "filtered by its parent": (
        {**f.SUM(SALES), "filters": [f.leaf(SHOPS, "Kind", "equals", "string", "x")]},
        None,
    ),
    "filtered by its children": (
        {**f.SUM(SHOPS), "filters": [f.leaf(SALES, "Kind", "equals", "string", "x")]},
        None,
    ),
    "filtered across a bridge": (
        {**f.SUM(SALES), "filters": [f.leaf(TAGS, "Kind", "equals", "string", "x")]},
        None,
    ),
    "of a derived object": (f.SUM(DIGEST), with_digest),
    "distinct of a derived object": (f.MEASURES["count distinct of columns"](DIGEST), with_digest),
    "nested over a derived object": (f.NESTED["nested maximum of a quotient"](DIGEST), with_digest),
    "semi-additive of a derived object": (f.MEASURES["semi-additive maximum"](DIGEST), with_digest),
    "of a union": (f.SUM(MOVES), with_moves),
    "total of a union": (f.MEASURES["total of a distinct count"](MOVES), with_moves),
    "nested over a union": (f.NESTED["nested average"](MOVES), with_moves),
    "of a measure per row": ({"aggregation": "sum", "columns": [f.column(SHOPS, "Lifetime")]}, with_lifetime),
    "of a part of the total per row": ({"aggregation": "sum", "columns": [f.column(SALES, "Part")]}, with_lifetime),
    "nested twice": (_DEEP, _needs("measures", "Sales mean", f.NESTED["nested average"](SALES))),
    "nested over a running value": (
        {**_PEAK, "aggregation": "max", "expression": "{[Sales running]}"},
        _needs("metrics", "Sales running", f.TIMED["rolling"](f"{SALES} sum", f"{SALES} Month")),
    ),
    "nested over a comparison": (
        {**_PEAK, "aggregation": "avg", "expression": "{[Sales change]}"},
        _needs("metrics", "Sales change", f.TIMED["difference to last year"](f"{SALES} sum", f"{SALES} Month")),
    ),
    "nested over a rank": (
        {"aggregation": "count", "expression": "CASE WHEN {[Sales rank]} < 3 THEN 1 END", "over": [f"{SHOPS} Kind"]},
        _needs("metrics", "Sales rank", f.UNTIMED["rank"](f"{SALES} sum", "")),
    ),
    "nested over a metric": (
        _RATE,
        _needs("metrics", "Sales rate", {"expression": f"{{[{SALES} sum]}} / {{[{SALES} tally]}}"}),
    ),
}
"""Measures over more than the columns of one fact, and what they need of the model."""


def _metrics() -> Iterator[Feature]:
    for kind, build in f.DERIVED.items():
        yield _metric(kind, lambda base, build=build: build(base, f"{SALES} tally"))  # type: ignore[misc]
    quotient = f.DERIVED["quotient of measures"]
    yield _metric("quotient across facts", lambda base: quotient(base, f"{RETURNS} sum"))
    yield _metric("share of the total", lambda base: quotient(base, f"{SALES} total"))
    for kind, timed in {**f.UNTIMED, **f.TIMED}.items():
        yield _metric(kind, lambda base, timed=timed: timed(base, f"{SALES} Month"))  # type: ignore[misc]
    for kind in ("rank", "row number", "ntile"):
        within = f.UNTIMED[kind]
        yield _metric(
            f"{kind} within a dimension",
            lambda base, within=within: {**within(base, ""), "partitionBy": [f"{SALES} Kind"]},  # type: ignore[misc]
        )
    for kind in ("running", "percent change", "lag"):
        timed = f.TIMED[kind]
        yield Feature(
            f"{kind} by the parent's time",
            "metric",
            metric=lambda base, timed=timed: timed(base, f"{SHOPS} Month"),  # type: ignore[misc]
            edit=dimensions(f"{SHOPS} Month"),
        )


def _metric(name: str, build: Callable[[str], Document]) -> Feature:
    return Feature(name, "metric", metric=build)


@cache
def features() -> tuple[Feature, ...]:
    """Every row of the matrix."""
    clauses = [Feature(name, "clause", edit=edit) for name, edit in CLAUSES.items()]
    policies = [Feature(name, "clause", policies=policy) for name, policy in POLICIES.items()]
    return (*_measures(), *_metrics(), *clauses, *policies)


# -- the cells ---------------------------------------------------------------------------------------------------------


def cell(chosen: Sequence[Feature]) -> Case:
    """Returns the question that uses these features together: metrics over measures, clauses on both."""
    world = shop()
    model = copy.deepcopy(world.model)
    model["measures"] = {
        f"{name} {label}": f.MEASURES[kind](name)
        for name in (SALES, RETURNS)
        for label, kind in (("sum", "sum"), ("tally", "count"), ("total", "total"))
    }
    model["metrics"] = {}
    selected: list[Any] = [f"{SALES} sum"]
    base = f"{SALES} sum"
    for feature in chosen:
        if feature.measure is not None:
            model["measures"][feature.name] = feature.measure
            selected.append(feature.name)
            base = feature.name if feature.numeric else base
    bases = [base]
    for feature in chosen:
        if feature.metric is not None:
            model["metrics"][feature.name] = feature.metric(bases[-1])
            selected.append(feature.name)
            bases.append(feature.name)
    query: Document = {"select": {"dimensions": [f"{SALES} Kind", f"{SALES} Month"], "measures": selected}}
    policies: Document = {}
    for feature in sorted(chosen, key=lambda one: one.name != "no dimension"):
        if feature.edit is not None:
            feature.edit(model, query)
        for name, predicates in feature.policies.items():
            policies[name] = [*policies.get(name, []), *predicates]
    return Case(model, world.tables, query, policies, frozenset(one.title for one in chosen))


def pairs() -> Iterator[tuple[Feature, Feature]]:
    return combinations(features(), 2)


def triples() -> Iterator[tuple[Feature, ...]]:
    chooser = Seeded("triples")
    for _ in range(TRIPLES):
        places = dict.fromkeys(chooser.integer(0, len(features()) - 1) for _ in range(3))
        yield tuple(features()[place] for place in places)


def judge_cell(chosen: Sequence[Feature], database: Engine) -> Outcome:
    """Returns what came of a cell; metric pairs are tried in both orders."""
    try:
        outcome = judge(cell(chosen), database)
    except InvalidCaseError as invalid:
        return Outcome(Verdict.REFUSED, str(invalid), codes=invalid.codes)
    if outcome.verdict.is_disagreement or sum(one.metric is not None for one in chosen) < 2:
        return outcome
    other = judge(cell(tuple(reversed(chosen))), database)
    return other if other.verdict is not Verdict.EQUAL else outcome


# -- the page ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """What came of one feature crossed with all that follow it in the list."""

    feature: Feature
    outcomes: tuple[tuple[Feature, Outcome], ...]

    def text(self) -> str:
        verdicts = Counter(outcome.verdict for _, outcome in self.outcomes)
        refused = Counter(outcome.codes[0] for _, outcome in self.outcomes if outcome.verdict is Verdict.REFUSED)
        reasons = ", ".join(f"{code} {count}" for code, count in sorted(refused.items()))
        counts = " | ".join(str(verdicts[verdict]) for verdict in SETTLED)
        return f"| {self.feature.title} | {counts} | {reasons} |"


def line(place: int, database: Engine, share: Share = WHOLE) -> Line:
    """Crosses one feature with all that come after it."""
    one = features()[place]
    others = (features()[other] for other in range(place + 1, len(features())) if share.holds(place + other))
    return Line(one, tuple((other, judge_cell((one, other), database)) for other in others))


SETTLED = (Verdict.EQUAL, Verdict.REFUSED, Verdict.UNDECIDED)
"""What may come of a cell; anything else is a mistake."""
_REASONS = {
    "CUMULATIVE_TIME_DIMENSION_NOT_IN_SELECT": "a running value needs its time dimension among the selected ones",
    "POP_TIME_DIMENSION_NOT_IN_SELECT": "a comparison of periods needs its time dimension among the selected ones",
    "WINDOW_TIME_DIMENSION_NOT_IN_SELECT": "a shift in time needs its time dimension among the selected ones",
    "UNKNOWN_PARTITION_DIMENSION": "the rank starts anew within a dimension that is not selected",
    "GRAIN_NOT_SUBSET": "the grain of the measure includes a dimension that is not selected",
    "FILTER_ON_CONFORMED_OBJECT": "the filtered fact is summed to a key before it meets the other: no rows are left",
    "UNKNOWN_FILTER_FIELD": "HAVING tests what the rows of the result show, and they do not show this dimension",
    "UNREACHABLE_REQUIRED_OBJECT": "no selected measure reaches the object",
    "INVALID_MEASURE_FILTER": "the measure does not reach what its filter names",
    "UNKNOWN_ORDER_BY_FIELD": "the query orders by something that it does not select",
}


def page(lines: Sequence[Line], tried: Sequence[Outcome]) -> str:
    """Returns the text of the page."""
    outcomes = [outcome for each in lines for _, outcome in each.outcomes]
    refused = Counter(outcome.codes[0] for outcome in outcomes if outcome.verdict is Verdict.REFUSED)
    rows = [f"| `{code}` | {count} | {_REASONS[code]} |" for code, count in sorted(refused.items())]
    open_ = Counter(outcome.reason for outcome in outcomes if outcome.verdict is Verdict.UNDECIDED)
    return "\n".join(
        [
            "# Which features work together",
            "",
            "Every kind of measure, kind of metric and clause of a query is crossed with every other. A cell is a",
            "query that uses both (a metric is built over the measure or the metric that it is crossed with); its SQL",
            "is run by DuckDB and compared with a naive evaluator that knows no SQL. A cell is **equal**, or is",
            "**refused** with a code that says why the combination has no meaning, or is **undecided**: it runs, but",
            "the rules leave its value open (the order of a list, a mode among equals), so that nothing is compared.",
            "`python -m oracle.matrix` (in `tests/`) makes this page; `tests/oracle/test_matrix.py` checks it.",
            "",
            f"- {len(features())} features, {len(outcomes)} pairs: {_counts(outcomes)}.",
            f"- {len(tried)} random triples: {_counts(tried)}.",
            "",
            "## Refusals",
            "",
            "| code | pairs | why it has no meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
            "## Undecided",
            "",
            "| pairs | what the rules leave open |",
            "| --- | --- |",
            *(f"| {count} | {reason} |" for reason, count in sorted(open_.items())),
            "",
            "## Pairs",
            "",
            "Each feature crossed with all that stand below it.",
            "",
            "| feature | equal | refused | undecided | codes |",
            "| --- | --- | --- | --- | --- |",
            *(each.text() for each in lines),
            "",
        ]
    )


def _counts(outcomes: Sequence[Outcome]) -> str:
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    names = ("equal", "refused", "undecided")
    return ", ".join(f"{verdicts[verdict]} {name}" for verdict, name in zip(SETTLED, names, strict=True))


_held: list[Database] = []
"""The engine of a process."""


def _judged(places: tuple[int, ...]) -> Outcome:
    """What came of the cell of some features, by their places; the answers themselves stay where they were found."""
    if not _held:
        _held.append(Database())
    outcome = judge_cell([features()[place] for place in places], _held[0])
    return replace(outcome, expected=None, details=() if outcome.verdict in SETTLED else (describe(outcome),))


def main() -> int:
    """Crosses everything, in all processors, and writes the page; prints the cells that disagree."""
    places = range(len(features()))
    threes = [tuple(features().index(one) for one in chosen) for chosen in triples()]
    cells = [*combinations(places, 2), *threes]
    with get_context("spawn").Pool(int(os.environ.get("WORKERS", os.cpu_count() or 1))) as pool:
        judged = dict(zip(cells, pool.map(_judged, cells, chunksize=50), strict=True))
    lines = [
        Line(features()[one], tuple((features()[two], judged[one, two]) for two in places[one + 1 :])) for one in places
    ]
    wrong = {cell: outcome for cell, outcome in judged.items() if outcome.verdict not in SETTLED}
    for chosen, outcome in wrong.items():
        print(" x ".join(features()[place].title for place in chosen), *outcome.details, "", sep="\n")
    print(f"{len(wrong)} cells disagree")
    if not wrong:
        PAGE.write_text(page(lines, [judged[three] for three in threes]), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
