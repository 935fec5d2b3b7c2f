"""The clauses of a query that the matrix crosses with everything, as edits of a cell's model and query.

*The item* is what the cell asks for last: the measure or metric that the clause is crossed with.
"""

from __future__ import annotations

from typing import Any

from oracle.shop import (
    AREAS,
    DIGEST,
    MOVES,
    RETURNS,
    SALES,
    SHOPS,
    TAGS,
    Edit,
    add,
    also,
    area_by_shop,
    condition,
    dimensions,
    fiscal,
    four_decimals,
    measures,
    other_path,
    put,
    required,
    where,
    with_digest,
    with_lifetime,
    with_moves,
)
from oracle.worlds import Document

_RETURNED = measures(f"{RETURNS} sum")
"""What only the other fact has is asked for together with a measure of it."""


def _item(query: Document) -> str:
    last = query["select"]["measures"][-1]
    return last if isinstance(last, str) else last["measure"]


def _no_dimensions(_: Document, query: Document) -> None:
    query["select"]["dimensions"] = []


def _only_when(_: Document, query: Document) -> None:
    """The time of either fact stands for the time of the sales."""
    kept = [name for name in query["select"]["dimensions"] if name != f"{SALES} Month"]
    query["select"]["dimensions"] = [*kept, {"coalesce": [f"{SALES} Month", f"{RETURNS} Month"], "as": "Whenever"}]
    _RETURNED({}, query)


def _static(name: str, label: str, operator: str, value: Any) -> Edit:
    def edit(model: Document, _: Document) -> None:
        model.setdefault("filters", []).append(
            {"dataObject": name, "column": label, "operator": operator, "value": value}
        )

    return edit


def _narrowed(name: str, operator: str, value: Any, alias: str) -> Edit:
    """The item once more, with a filter of the query."""

    def edit(_: Document, query: Document) -> None:
        narrow = {"measure": _item(query), "filter": [condition(name, operator, value)], "as": alias}
        query["select"]["measures"].append(narrow)

    return edit


def _renamed(_: Document, query: Document) -> None:
    selected = query["select"]["measures"]
    if isinstance(selected[-1], str):
        selected[-1] = {"measure": selected[-1], "as": "Renamed"}


def _having_item(operator: str, *value: Any) -> Edit:
    def edit(_: Document, query: Document) -> None:
        query.setdefault("having", []).append(condition(_item(query), operator, *value))

    return edit


def _order_item(_: Document, query: Document) -> None:
    place = len(query["select"]["dimensions"]) + len(query["select"]["measures"])
    query.setdefault("orderBy", []).append({"field": str(place), "direction": "desc", "nulls": "last"})


def _hidden_rank(model: Document, query: Document) -> None:
    """The best two by the item, whose rank is not shown."""
    model["metrics"]["Hidden"] = {"type": "window", "windowFunction": "rank", "measure": f"{SALES} sum"}
    query.setdefault("having", []).append(condition("Hidden", "lte", 2))


def _fiscal_quarter(model: Document, query: Document) -> None:
    fiscal(model, query)
    dimensions({"dimension": f"{SALES} Day", "grain": "fiscal_quarter", "as": "Fiscal"})(model, query)


def _group(logic: str, *members: Document, negated: bool = False) -> Document:
    return {"logic": logic, "filters": list(members), **({"negated": True} if negated else {})}


_NOT_X = condition(f"{SHOPS}.Kind", "notequals", "x")
_FACT_OR_PARENT = (condition(f"{SHOPS} Kind", "equals", "x"), condition(f"{SALES}.Qty", "gt", 1))

CLAUSES: dict[str, Edit] = {
    "no dimension": _no_dimensions,
    "dimension of the parent": dimensions(f"{SHOPS} Kind"),
    "dimension of the grandparent": dimensions(f"{AREAS} Kind"),
    "dimension of the other fact": also(dimensions(f"{RETURNS} Kind"), _RETURNED),
    "dimension across a bridge": dimensions(f"{TAGS} Kind"),
    "dimension of a derived object": also(with_digest, dimensions(f"{DIGEST} Size"), measures(f"{DIGEST} sum")),
    "discriminator of a union": also(with_moves, dimensions(f"{MOVES} Kind"), measures(f"{MOVES} sum")),
    "dimension by a measure": also(with_lifetime, dimensions(f"{SHOPS} Class")),
    "dimension by a rank": also(with_lifetime, dimensions(f"{SHOPS} Place")),
    "dimension by way of an object": area_by_shop,
    "dimension on another path": also(other_path, dimensions(f"{SHOPS} Kind")),
    "computed dimension": dimensions(f"{SALES} Size"),
    "second grain": dimensions(f"{SALES} Day:year"),
    "day beside the month": dimensions(f"{SALES} Day"),
    "week": dimensions({"dimension": f"{SALES} Day", "grain": "week", "as": "Week"}),
    "week from Sunday": also(fiscal, dimensions(f"{SALES} Day:week")),
    "fiscal quarter": _fiscal_quarter,
    "time of the parent": dimensions(f"{SHOPS} Month"),
    "time of the other fact": also(dimensions(f"{RETURNS} Month"), _RETURNED),
    "coalesced dimension": dimensions({"coalesce": [f"{RETURNS} Size", f"{SALES} Size"], "as": "Either"}),
    "coalesced times": also(dimensions({"coalesce": [f"{SALES} Month", f"{RETURNS} Month"], "as": "When"}), _RETURNED),
    "coalesced times alone": _only_when,
    "coalesced and far dimensions": also(
        dimensions({"coalesce": [f"{SALES} Size", f"{RETURNS} Size"], "as": "Either one"}, f"{AREAS} Kind"), _RETURNED
    ),
    "alias of a dimension": dimensions({"dimension": f"{SHOPS} Size", "as": "Shop size"}),
    "filter on the fact": where(condition(f"{SALES} Kind", "inlist", ["x", "y"])),
    "filter on the parent": where(condition(f"{SHOPS} Kind", "notequals", "x")),
    "filter on the grandparent": where(condition(f"{AREAS}.Qty", "gte", 0)),
    "filter on the time": where(condition(f"{SALES} Day", "gte", "2024-01-01")),
    "filter on recent times": where(condition(f"{SALES} Day", "relative", {"unit": "month", "count": 3})),
    "filter on the month": where(condition(f"{SALES} Month", "between", ["2023-02-01", "2024-02-01"])),
    "filter on the other fact": also(_RETURNED, where(condition(f"{RETURNS} Kind", "notset"))),
    "filter across a bridge": where(condition(f"{TAGS} Kind", "inlist", ["x", "y", "z"])),
    "filter on a derived object": also(
        with_digest, measures(f"{DIGEST} sum"), where(condition(f"{DIGEST}.Amount", "gt", 1))
    ),
    "filter by a measure": also(with_lifetime, where(condition(f"{SHOPS} Class", "equals", "large"))),
    "filter by a rank": also(with_lifetime, where(condition(f"{SHOPS}.Rank", "lte", 2))),
    "filter for NULL": where(condition(f"{SHOPS}.Word", "blank")),
    "filter by or": where(_group("or", *_FACT_OR_PARENT)),
    "filter by not": where(
        _group("and", condition(f"{SALES} Kind", "equals", "x"), condition(f"{SALES}.Qty", "gt", 1), negated=True)
    ),
    "filter by a negated or": where(_group("or", *_FACT_OR_PARENT, negated=True)),
    "exists": where({**condition(f"{SHOPS} Kind", "exists"), "subquery": {"dataObject": RETURNS}}),
    "exists not with a filter": where(
        {
            **condition(f"{SHOPS} Kind", "nonexists"),
            "subquery": {"dataObject": RETURNS, "filter": [condition("Kind", "equals", "x")]},
        }
    ),
    "having": add("having", condition(f"{SALES} sum", "gt", 0)),
    "having on the item": _having_item("set"),
    "having without the item": _having_item("notset"),
    "having on a dimension": add("having", condition(f"{SALES} Kind", "notset")),
    "having on the time": add("having", condition(f"{SALES} Month", "gte", "2024-01-01")),
    "having by or": add(
        "having", _group("or", condition(f"{SALES} Kind", "equals", "x"), condition(f"{SALES} tally", "gt", 1))
    ),
    "having on the other fact": add("having", condition(f"{RETURNS} sum", "set")),
    "having on a hidden rank": _hidden_rank,
    "order": add("orderBy", {"field": f"{SALES} Kind", "direction": "desc", "nulls": "first"}),
    "order by the measure": add("orderBy", {"field": f"{SALES} sum", "direction": "desc", "nulls": "last"}),
    "order by the item": _order_item,
    "limit": put("limit", 3),
    "offset": put("offset", 1),
    "rollup": put("grouping", "rollup"),
    "cube": put("grouping", "cube"),
    "required join": required(SALES, SHOPS),
    "required join across a bridge": also(required(SHOPS, TAGS), dimensions(f"{TAGS} Size")),
    "static filter": _static(SHOPS, "Kind", "notequals", "y"),
    "static filter on the grandparent": _static(AREAS, "Qty", "gte", 0),
    "four decimals": four_decimals,
    "measure filtered by the query": _narrowed(f"{SHOPS}.Kind", "equals", "x", "Narrowed"),
    "measure filtered twice": also(
        _narrowed(f"{SHOPS}.Kind", "equals", "x", "Narrow one"),
        _narrowed(f"{AREAS}.Kind", "notset", None, "Narrow two"),
    ),
    "two measures filtered alike": also(
        _narrowed(f"{SHOPS}.Kind", "notequals", "x", "Narrow"),
        measures(
            {
                "measure": f"{RETURNS} sum",
                "filter": [condition(f"{SHOPS}.Kind", "notequals", "x")],
                "as": "Narrow other",
            }
        ),
    ),
    "alias": _renamed,
}
"""Every clause by its name in the matrix."""

POLICIES: dict[str, Document] = {
    "row policy": {SHOPS: [{"field": "Kind", "op": "notequals", "value": "y"}]},
    "row policy on the fact": {SALES: [{"field": "Qty", "op": "gte", "value": 0}]},
    "row policy across a bridge": {TAGS: [{"field": "Kind", "op": "notequals", "value": "x"}]},
}
"""Predicates that the principal of the query is under."""
