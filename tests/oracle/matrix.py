"""The pairwise matrix: every kind of measure, kind of metric and clause of a query, crossed two by two.

A cell compiles, runs and equals the evaluator's answer, or is refused with a documented code that says why it has no
meaning. `python -m oracle.matrix` writes docs/feature-matrix.md; a test compares it line by line.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from oracle import features as f
from oracle.database import Database
from oracle.judge import Outcome, Verdict, describe, judge
from oracle.queries import Case
from oracle.reading import InvalidCaseError
from oracle.worlds import Document, Edge, Seeded, World, build_world

PAGE = Path(__file__).parents[2] / "docs" / "feature-matrix.md"
TRIPLES = 400
SALES, SHOPS, AREAS, RETURNS = "Sales", "Shops", "Areas", "Returns"
Edit = Callable[[Document, Document], None]
"""Changes the model and the query of a cell."""


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


@cache
def matrix_world() -> World:
    """Two facts, a dimension that they share and one above it; NULLs, orphans and empty groups in all of them."""
    edges = (Edge(0, 1), Edge(1, 2), Edge(3, 1))
    for seed in range(1000):
        world = build_world(Seeded(f"matrix {seed}"), "shop", (SALES, SHOPS, AREAS, RETURNS), edges)
        sizes = [len(table["rows"]) for table in world.tables.values()]
        required = any(join.get("required") for o in world.model["dataObjects"].values() for join in o.get("joins", ()))
        if sizes[0] == 10 and sizes[1] >= 4 and sizes[2] >= 3 and sizes[3] >= 5 and not required:
            world.model.pop("settings", None)
            return world
    raise AssertionError("no seed fits")


# -- the features ------------------------------------------------------------------------------------------------------


def _measures() -> Iterator[Feature]:
    for kind, build in f.MEASURES.items():
        yield Feature(kind, "measure", kind in f.NUMERIC, measure=build(SALES))
    for kind, build in f.NESTED.items():
        yield Feature(kind, "measure", measure=build(SALES))
    yield Feature("one side", "measure", measure=f.SUM(SHOPS))
    yield Feature("one side distinct", "measure", measure=f.MEASURES["count distinct"](SHOPS))
    yield Feature("other fact", "measure", measure=f.SUM(RETURNS))
    yield Feature("total of the other fact", "measure", measure=f.MEASURES["total"](RETURNS))
    product = f"{{[{SALES}].[Qty]}} * {{[{SHOPS}].[Amount]}}"
    yield Feature("over two objects", "measure", measure={"aggregation": "sum", "expression": product})
    near = [f.leaf(SHOPS, "Kind", "equals", "string", "x")]
    yield Feature("filtered by its parent", "measure", measure={**f.SUM(SALES), "filters": near})
    far = [f.leaf(SALES, "Kind", "equals", "string", "x")]
    yield Feature("filtered by its children", "measure", measure={**f.SUM(SHOPS), "filters": far})


def _metrics() -> Iterator[Feature]:
    for kind, build in f.DERIVED.items():
        yield Feature(kind, "metric", metric=lambda base, build=build: build(base, f"{SALES} tally"))  # type: ignore[misc]
    across = f.DERIVED["quotient of measures"]
    yield Feature("quotient across facts", "metric", metric=lambda base: across(base, f"{RETURNS} sum"))
    share = f.DERIVED["quotient of measures"]
    yield Feature("share of the total", "metric", metric=lambda base: share(base, f"{SALES} total"))
    for kind, timed in {**f.UNTIMED, **f.TIMED}.items():
        yield Feature(
            kind,
            "metric",
            metric=lambda base, timed=timed: timed(base, f"{SALES} Month"),  # type: ignore[misc]
        )


def _where(*clauses: Document) -> Edit:
    def edit(_: Document, query: Document) -> None:
        query.setdefault("where", []).extend(copy.deepcopy(clauses))

    return edit


def _dimensions(*names: Any) -> Edit:
    def edit(_: Document, query: Document) -> None:
        selected = query["select"]["dimensions"]
        selected.extend(name for name in names if name not in selected)

    return edit


def _with_returns(edit: Edit) -> Edit:
    """What only the other fact has is asked for together with a measure of it."""

    def edit_both(model: Document, query: Document) -> None:
        edit(model, query)
        measures = query["select"]["measures"]
        if f"{RETURNS} sum" not in measures:
            measures.append(f"{RETURNS} sum")

    return edit_both


def _put(key: str, value: Any) -> Edit:
    def edit(_: Document, query: Document) -> None:
        query[key] = copy.deepcopy(value)

    return edit


def _add(key: str, value: Any) -> Edit:
    def edit(_: Document, query: Document) -> None:
        query.setdefault(key, []).append(copy.deepcopy(value))

    return edit


def _no_dimensions(_: Document, query: Document) -> None:
    query["select"]["dimensions"] = []


def _static(model: Document, _: Document) -> None:
    model["filters"] = [{"dataObject": SHOPS, "column": "Kind", "operator": "notequals", "value": "y"}]


def _narrowed(_: Document, query: Document) -> None:
    measures = query["select"]["measures"]
    first = measures[0] if isinstance(measures[0], str) else measures[0]["measure"]
    condition = {"field": f"{SHOPS}.Kind", "op": "equals", "value": "x"}
    measures.append({"measure": first, "filter": [condition], "as": "Narrowed"})


def _renamed(_: Document, query: Document) -> None:
    measures = query["select"]["measures"]
    if isinstance(measures[-1], str):
        measures[-1] = {"measure": measures[-1], "as": "Renamed"}


def _having_first(_: Document, query: Document) -> None:
    query.setdefault("having", []).append({"field": f"{SALES} sum", "op": "gt", "value": 0})


def _fiscal(model: Document, query: Document) -> None:
    model["settings"] = {"fiscalYearStart": 4, "weekStart": "sunday"}
    query["select"]["dimensions"].append({"dimension": f"{SALES} Day", "grain": "fiscal_quarter", "as": "Fiscal"})


def _limit(_: Document, query: Document) -> None:
    query["limit"] = 3


def _condition(name: str, operator: str, *value: Any) -> Document:
    return {"field": name, "op": operator, **({"value": value[0]} if value else {})}


_CLAUSES: dict[str, Edit] = {
    "no dimension": _no_dimensions,
    "dimension of the parent": _dimensions(f"{SHOPS} Kind"),
    "dimension of the grandparent": _dimensions(f"{AREAS} Kind"),
    "dimension of the other fact": _with_returns(_dimensions(f"{RETURNS} Kind")),
    "computed dimension": _dimensions(f"{SALES} Size"),
    "second grain": _dimensions(f"{SALES} Day:year"),
    "fiscal quarter": _fiscal,
    "coalesced dimension": _dimensions({"coalesce": [f"{RETURNS} Size", f"{SALES} Size"], "as": "Either"}),
    "filter on the fact": _where(_condition(f"{SALES} Kind", "inlist", ["x", "y"])),
    "filter on the parent": _where(_condition(f"{SHOPS} Kind", "notequals", "x")),
    "filter on the time": _where(_condition(f"{SALES} Day", "gte", "2024-01-01")),
    "filter on the other fact": _with_returns(_where(_condition(f"{RETURNS} Kind", "notset"))),
    "filter for NULL": _where(_condition(f"{SHOPS}.Word", "blank")),
    "filter by or": _where(
        {
            "logic": "or",
            "filters": [_condition(f"{SHOPS} Kind", "equals", "x"), _condition(f"{SALES}.Qty", "gt", 1)],
        }
    ),
    "filter by not": _where(
        {
            "logic": "and",
            "negated": True,
            "filters": [_condition(f"{SALES} Kind", "equals", "x"), _condition(f"{SALES}.Qty", "gt", 1)],
        }
    ),
    "exists": _where({**_condition(f"{SHOPS} Kind", "exists"), "subquery": {"dataObject": RETURNS}}),
    "having": _having_first,
    "having on a dimension": _add("having", _condition(f"{SALES} Kind", "notset")),
    "having on the other fact": _add("having", _condition(f"{RETURNS} sum", "set")),
    "order": _add("orderBy", {"field": f"{SALES} Kind", "direction": "desc", "nulls": "first"}),
    "order by the measure": _add("orderBy", {"field": f"{SALES} sum", "direction": "desc", "nulls": "last"}),
    "limit": _limit,
    "offset": _put("offset", 1),
    "rollup": _put("grouping", "rollup"),
    "cube": _put("grouping", "cube"),
    "static filter": _static,
    "measure filtered by the query": _narrowed,
    "alias": _renamed,
}


@cache
def features() -> tuple[Feature, ...]:
    clauses = [Feature(name, "clause", edit=edit) for name, edit in _CLAUSES.items()]
    policy = {SHOPS: [{"field": "Kind", "op": "notequals", "value": "y"}]}
    policied = Feature("row policy", "clause", edit=lambda _model, _query: None, policies=policy)
    return (*_measures(), *_metrics(), *clauses, policied)


# -- the cells ---------------------------------------------------------------------------------------------------------


def cell(chosen: Sequence[Feature]) -> Case:
    """Returns the question that uses these features together: metrics over measures, clauses on both."""
    world = matrix_world()
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
            policies.update(feature.policies)
    return Case(model, world.tables, query, policies, frozenset(one.title for one in chosen))


def pairs() -> Iterator[tuple[Feature, Feature]]:
    return combinations(features(), 2)


def triples() -> Iterator[tuple[Feature, ...]]:
    chooser = Seeded("triples")
    for _ in range(TRIPLES):
        places = dict.fromkeys(chooser.integer(0, len(features()) - 1) for _ in range(3))
        yield tuple(features()[place] for place in places)


def judge_cell(chosen: Sequence[Feature], database: Database) -> Outcome:
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
        return f"| {self.feature.title} | {verdicts[Verdict.EQUAL]} | {verdicts[Verdict.REFUSED]} | {reasons} |"


def line(place: int, database: Database) -> Line:
    """Crosses one feature with all that come after it."""
    one = features()[place]
    return Line(one, tuple((other, judge_cell((one, other), database)) for other in features()[place + 1 :]))


_REASONS = {
    "CUMULATIVE_TIME_DIMENSION_NOT_IN_SELECT": "a running value needs its time dimension among the selected ones",
    "POP_TIME_DIMENSION_NOT_IN_SELECT": "a comparison of periods needs its time dimension among the selected ones",
    "WINDOW_TIME_DIMENSION_NOT_IN_SELECT": "a shift in time needs its time dimension among the selected ones",
    "INVALID_GROUPING": "subtotals need a dimension to sum up over",
    "UNKNOWN_FILTER_FIELD": "the filter names a field that no selected measure reaches",
    "UNREACHABLE_REQUIRED_OBJECT": "no selected measure reaches the object",
    "UNKNOWN_ORDER_BY_FIELD": "the query orders by something that it does not select",
}


def page(lines: Sequence[Line], tried: Sequence[Outcome]) -> str:
    """Returns the text of the page."""
    outcomes = [outcome for each in lines for _, outcome in each.outcomes]
    refused = Counter(outcome.codes[0] for outcome in outcomes if outcome.verdict is Verdict.REFUSED)
    equal = sum(outcome.verdict is Verdict.EQUAL for outcome in outcomes)
    rows = [f"| `{code}` | {count} | {_REASONS[code]} |" for code, count in sorted(refused.items())]
    threes = Counter(outcome.verdict for outcome in tried)
    return "\n".join(
        [
            "# Which features work together",
            "",
            "Every kind of measure, kind of metric and clause of a query is crossed with every other. A cell is a",
            "query that uses both (a metric is built over the measure or the metric that it is crossed with); its SQL",
            "is run by DuckDB and compared with a naive evaluator that knows no SQL. A cell is **equal**, or is",
            "**refused** with a code that says why the combination has no meaning. This page is made by",
            "`python -m oracle.matrix` (in `tests/`) and checked by `tests/oracle/test_matrix.py`.",
            "",
            f"- {len(features())} features, {len(outcomes)} pairs: {equal} equal, {sum(refused.values())} refused.",
            f"- {len(tried)} random triples: {threes[Verdict.EQUAL]} equal, {threes[Verdict.REFUSED]} refused.",
            "",
            "## Refusals",
            "",
            "| code | pairs | why it has no meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
            "## Pairs",
            "",
            "Each feature crossed with all that stand below it.",
            "",
            "| feature | equal | refused | codes |",
            "| --- | --- | --- | --- |",
            *(each.text() for each in lines),
            "",
        ]
    )


def main() -> int:
    """Crosses everything and writes the page; prints the cells that disagree."""
    database = Database()
    lines = [line(place, database) for place in range(len(features()))]
    tried = [judge_cell(chosen, database) for chosen in triples()]
    wrong = 0
    for each in lines:
        for other, outcome in each.outcomes:
            if outcome.verdict not in (Verdict.EQUAL, Verdict.REFUSED):
                wrong += 1
                print(f"{each.feature.title} x {other.title}\n{describe(outcome)}\n")
    for chosen, outcome in zip(triples(), tried, strict=True):
        if outcome.verdict not in (Verdict.EQUAL, Verdict.REFUSED):
            wrong += 1
            print(f"{' x '.join(one.title for one in chosen)}\n{describe(outcome)}\n")
    print(f"{wrong} cells disagree")
    if not wrong:
        PAGE.write_text(page(lines, tried), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
