"""Laws that hold without knowing the right answer: of sums, neighbours, filters and row policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle.database import Database
from oracle.queries import Case, Populated
from oracle.reading import read_case
from oracle.worlds import Document
from properties.strategies import populated_worlds
from sagitta_compiler import compile_query

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
"""Threads of servers that other tests of this process started may draw numbers while a strategy runs."""

Rows = list[tuple[Any, ...]]


def run(database: Database, populated: Populated, query: Document, policies: Document | None = None) -> Rows:
    """Returns the rows of a query as the compiler and the database give them."""
    case = Case(populated.model, populated.world.tables, query, policies or {})
    model, bound, context = read_case(case)
    database.load(case.tables)
    return database.run(compile_query(model, bound, context).sql)[1]


def dimensions_of(populated: Populated, home: str) -> list[str]:
    """Returns dimensions that a home reaches by single-valued joins."""
    world = populated.world
    assume(world.objects and not any(edge.kind == "many-to-many" for edge in world.edges))
    return [f"{name} {kind}" for name in world.near(home) for kind in ("Kind", "Month", "Size")]


def total(rows: Sequence[tuple[Any, ...]], place: int = -1) -> Decimal:
    return sum((row[place] for row in rows if row[place] is not None), Decimal(0))


@st.composite
def questions(draw: st.DrawFn) -> tuple[Populated, str, list[str]]:
    """A world without policies and filters of its own, an object of it, and two dimensions that it reaches."""
    populated = draw(populated_worlds())
    populated = replace(populated, policies={}, model={**populated.model, "filters": []})
    home = draw(st.sampled_from(populated.world.objects))
    dimensions = dimensions_of(populated, home)
    return populated, home, draw(st.lists(st.sampled_from(dimensions), min_size=2, max_size=2, unique=True))


@given(question=questions(), filtered=st.booleans())
def test_a_sum_over_the_members_of_a_dimension_is_the_total(
    database: Database, question: tuple[Populated, str, list[str]], filtered: bool
) -> None:
    populated, home, dimensions = question
    where = [{"field": f"{home}.Qty", "op": "gte", "value": 1}] if filtered else []
    model = {**populated.model, "measures": {**populated.model["measures"], "All": _grand_total(home)}}
    populated = replace(populated, model=model)
    query = {"select": {"dimensions": dimensions[:1], "measures": [f"{home} sum", "All"]}, "where": where}
    rows = run(database, populated, query)
    assert {row[2] for row in rows} <= {total(rows, 1), None}


def _grand_total(home: str) -> Document:
    return {"aggregation": "sum", "columns": [{"dataObject": home, "column": "Amount"}], "total": True}


@given(question=questions())
def test_a_further_dimension_never_changes_the_roll_up(
    database: Database, question: tuple[Populated, str, list[str]]
) -> None:
    populated, home, dimensions = question
    assume("join: required" not in populated.world.features)
    fine = run(database, populated, {"select": {"dimensions": dimensions, "measures": [f"{home} Count"]}})
    coarse = run(database, populated, {"select": {"dimensions": dimensions[:1], "measures": [f"{home} Count"]}})
    rolled: Counter[Any] = Counter()
    for member, _, count in fine:
        rolled[member] += count
    assert dict(rolled) == dict(coarse)


@given(question=questions(), data=st.data())
def test_a_measure_does_not_depend_on_its_neighbours(
    database: Database, question: tuple[Populated, str, list[str]], data: st.DataObject
) -> None:
    populated, home, dimensions = question
    neighbour = data.draw(st.sampled_from([f"{name} sum" for name in populated.world.objects]))
    assume(neighbour != f"{home} sum")
    alone = run(database, populated, {"select": {"dimensions": dimensions, "measures": [f"{home} sum"]}})
    measures = [f"{home} sum", neighbour]
    beside = run(database, populated, {"select": {"dimensions": dimensions, "measures": measures}})
    found = {row[:2]: row[2] for row in beside}
    assert {row[:2]: row[2] for row in alone}.items() <= found.items()
    assert all(value is None for key, value in found.items() if key not in {row[:2] for row in alone})


@given(question=questions())
def test_filters_commute_and_a_list_of_them_is_an_and(
    database: Database, question: tuple[Populated, str, list[str]]
) -> None:
    populated, home, dimensions = question
    one = {"field": f"{home}.Qty", "op": "gte", "value": 1}
    two = {"field": f"{home} Kind", "op": "notequals", "value": "x"}
    select = {"dimensions": dimensions, "measures": [f"{home} sum", f"{home} Count"]}
    answers = [
        Counter(run(database, populated, {"select": select, "where": where}))
        for where in ([one, two], [two, one], [{"logic": "and", "filters": [two, one]}])
    ]
    assert answers[0] == answers[1] == answers[2]


@given(question=questions())
def test_a_row_policy_is_a_smaller_table(database: Database, question: tuple[Populated, str, list[str]]) -> None:
    populated, home, dimensions = question
    query = {"select": {"dimensions": dimensions, "measures": [f"{home} sum", f"{home} Count"]}}
    policies = {home: [{"field": "Kind", "op": "notequals", "value": "x"}]}
    under = run(database, populated, query, policies)
    table = populated.world.tables[home.lower()]
    place = list(table["columns"]).index("kind")
    visible = {**table, "rows": [row for row in table["rows"] if row[place] not in ("x", None)]}
    tables = {**populated.world.tables, home.lower(): visible}
    smaller = replace(populated, world=replace(populated.world, tables=tables))
    assert Counter(under) == Counter(run(database, smaller, query))
