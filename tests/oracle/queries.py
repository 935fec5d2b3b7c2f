"""Draws measures, metrics and queries on a drawn world; every draw says which features it uses."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from oracle import features as f
from oracle.sources import add_lifetime, draw_sources
from oracle.worlds import COLUMN_TYPES, Chooser, Document, World, draw_world

_BASES = {"sum": "sum", "tally": "count"}
NOW = dt.datetime(2024, 2, 15, 12, 0, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Made:
    """A measure or metric of the drawn model: what it reads and which dimensions must be selected for it."""

    name: str
    features: frozenset[str]
    homes: frozenset[str]
    needs: frozenset[str] = frozenset()
    numeric: bool = True


@dataclass(frozen=True)
class Populated:
    """A world whose model has measures and metrics."""

    world: World
    model: Document
    made: tuple[Made, ...]
    policies: Document
    features: frozenset[str]


@dataclass(frozen=True)
class Case:
    """A question to a model over tables, as documents."""

    model: Document
    tables: Document
    query: Document
    policies: Document = field(default_factory=dict)
    features: frozenset[str] = frozenset()


def draw_populated(chooser: Chooser, most_rows: int = 10) -> Populated:
    """Draws a world with a handful of measures and metrics."""
    world = draw_world(chooser, most_rows)
    model = copy.deepcopy(world.model)
    made: list[Made] = []
    model["measures"], model["metrics"] = {}, {}
    for name in world.objects:
        model["measures"].update({f"{name} {label}": f.MEASURES[kind](name) for label, kind in _BASES.items()})
        made.extend(
            Made(f"{name} {label}", frozenset({f"measure: {kind}"}), frozenset({name}))
            for label, kind in _BASES.items()
        )
        made.append(Made(f"{name} Count", frozenset({"measure: synthesised count"}), frozenset({name})))
    extra: set[str] = set()
    sources = draw_sources(chooser, world, model, extra)
    for name in sources:
        model["measures"].update({f"{name} {label}": f.MEASURES[kind](name) for label, kind in _BASES.items()})
        made.extend(
            Made(f"{name} {label}", frozenset({f"measure: {kind}"}), frozenset({name}))
            for label, kind in _BASES.items()
        )
    if chooser.chance(10):
        name = chooser.choose(world.objects)
        add_lifetime(world, model, name)
        made.append(Made(f"{name} lifetime", frozenset({"measure: of a measure per row"}), frozenset({name})))
    pool = (*world.objects, *sources, *sources)
    made.extend(_measure(chooser, world, model, pool) for _ in range(chooser.integer(2, 8)))
    for _ in range(chooser.integer(1, 7)):
        made.append(_metric(chooser, world, model, made))
        if chooser.chance(10):
            made.append(_nested(chooser, world, model, made))
    if chooser.chance(10):
        model["filters"] = [_static(chooser, world)]
        extra.add("model: static filter")
    policies: Document = {}
    if chooser.chance(6):
        policies[chooser.choose(world.objects)] = [{"field": "Kind", "op": "notequals", "value": "z"}]
        extra.add("context: row policy")
    unique = tuple({one.name: one for one in made}.values())
    return Populated(world, model, unique, policies, world.features | extra)


def _static(chooser: Chooser, world: World) -> Document:
    label, operator, value = chooser.choose((("Kind", "notequals", "y"), ("Qty", "gte", 0), ("Kind", "equals", "x")))
    return {"dataObject": chooser.choose(world.objects), "column": label, "operator": operator, "value": value}


def _measure(chooser: Chooser, world: World, model: Document, pool: Sequence[str]) -> Made:
    name = chooser.choose(pool)
    if chooser.chance(10):
        kind = chooser.choose(tuple(f.NESTED))
        model["measures"][f"{name} {kind}"] = f.NESTED[kind](name)
        return Made(f"{name} {kind}", frozenset({f"measure: {kind}"}), frozenset({name}))
    if chooser.chance(12) and name in world.objects:
        return _across(chooser, world, model, name)
    kind = chooser.choose(tuple(f.MEASURES))
    model["measures"][f"{name} {kind}"] = f.MEASURES[kind](name)
    return Made(f"{name} {kind}", frozenset({f"measure: {kind}"}), frozenset({name}), numeric=kind in f.NUMERIC)


def _across(chooser: Chooser, world: World, model: Document, name: str) -> Made:
    """A measure that looks at another object: in its expression, or in its filters."""
    other = chooser.choose(world.near(name) if chooser.chance(70) else world.objects)
    if other != name and other in world.near(name) and chooser.chance(50):
        label = f"{name} times {other}"
        expression = f"{{[{name}].[Qty]}} * {{[{other}].[Amount]}}"
        model["measures"][label] = {"aggregation": "sum", "expression": expression}
        return Made(label, frozenset({"measure: over two objects"}), frozenset({name}))
    if other not in world.near(name) and chooser.chance(40):
        return _conformed(chooser, model, name, other)
    return _narrowed(chooser, world, model, name, other)


def _narrowed(chooser: Chooser, world: World, model: Document, name: str, other: str) -> Made:
    """A measure whose filters look at another object, perhaps at one or a further one."""
    label, near = f"{name} where {other}", f.leaf(other, "Kind", "equals", "string", "x")
    if chooser.chance(50):
        model["measures"][label] = {**f.SUM(name), "filters": [near]}
        return Made(label, frozenset({"measure: filtered by another object"}), frozenset({name}))
    third = chooser.choose(world.objects)
    operator, values = chooser.choose((("equals", ("x",)), ("notset", ()), ("notequals", ("y",))))
    both = [near, f.leaf(third, "Kind", operator, "string", *values)]
    negated = {"negated": True} if chooser.chance(25) else {}
    label = f"{name} where {other} or {third}"
    model["measures"][label] = {**f.SUM(name), "filters": [{"logic": "or", "filters": both, **negated}]}
    return Made(label, frozenset({"measure: filtered by several objects"}), frozenset({name}))


def _conformed(chooser: Chooser, model: Document, name: str, other: str) -> Made:
    """A measure over two facts that share a key alone."""
    label = f"{name} beside {other}"
    expression = f"{{[{name}].[Qty]}} - COALESCE({{[{other}].[Qty]}}, 0)"
    model["measures"][label] = {"aggregation": "sum", "expression": expression}
    if chooser.chance(50):
        model["measures"][label]["anchor"] = name
    return Made(label, frozenset({"measure: over facts that share a key"}), frozenset({name}))


def _nested(chooser: Chooser, world: World, model: Document, made: Sequence[Made]) -> Made:
    """An aggregation of any measure or metric, finer than the query by what that needs and by something else."""
    base = chooser.choose([one for one in made if one.numeric])
    aggregation = chooser.choose(("max", "avg", "sum", "count", "median"))
    label = f"{aggregation} of {base.name}"
    over = sorted({*base.needs, f"{chooser.choose(world.near(min(base.homes)))} Kind"})
    model["measures"][label] = {"aggregation": aggregation, "expression": f"{{[{base.name}]}}", "over": over}
    if chooser.chance(20):
        model["measures"][label]["total"] = True
    return Made(label, base.features | {"measure: nested over anything"}, base.homes)


def _within(chooser: Chooser, world: World, home: str, document: Document) -> frozenset[str]:
    """Lets a metric start anew within a dimension now and then; returns what must be selected for it."""
    if not chooser.chance(15):
        return frozenset()
    document["partitionBy"] = [f"{chooser.choose(world.near(home))} Kind"]
    return frozenset(document["partitionBy"])


def _metric(chooser: Chooser, world: World, model: Document, made: Sequence[Made]) -> Made:
    numeric = [one for one in made if one.numeric]
    base = chooser.choose(numeric)
    family = chooser.choose(("derived", "derived", "timed", "timed", "untimed"))
    if family == "derived":
        kind, other = chooser.choose(tuple(f.DERIVED)), chooser.choose(numeric)
        label = f"{kind} ({base.name}, {other.name})"
        model["metrics"][label] = f.DERIVED[kind](base.name, other.name)
        used = base.features | other.features | {f"metric: {kind}"}
        return Made(label, used, base.homes | other.homes, base.needs | other.needs)
    if family == "untimed":
        kind = chooser.choose(tuple(f.UNTIMED))
        label = f"{kind} of {base.name}"
        metric = f.UNTIMED[kind](base.name, "")
        needs = base.needs | _within(chooser, world, min(base.homes), metric)
        model["metrics"][label] = metric
        return Made(label, base.features | {f"metric: {kind}"}, base.homes, needs)
    kind = chooser.choose(tuple(f.TIMED))
    home = chooser.choose(sorted(base.homes))
    time = f"{chooser.choose(world.near(home))} {chooser.choose(('Month', 'Month', 'Day'))}"
    label = f"{kind} of {base.name} on {time}"
    model["metrics"][label] = f.TIMED[kind](base.name, time)
    return Made(label, base.features | {f"metric: {kind}"}, base.homes, base.needs | {time})


# -- queries -----------------------------------------------------------------------------------------------------------


def draw_query(chooser: Chooser, populated: Populated) -> Case:
    """Draws one query on a populated world."""
    used: set[str] = set(populated.features)
    style = chooser.integer(1, 100)
    if style <= 4:
        query = _raw(chooser, populated.world, used)
    elif style <= 6:
        query = _absent(chooser, populated.world, used)
    else:
        query = _grouped(chooser, populated, used, alone=style <= 12)
    world = populated.world
    if world.shape == "two paths" and chooser.chance(40):
        query["usePathNames"] = [{"source": "Ant", "target": "Bee", "pathName": "other"}]
        used.add("clause: usePathNames")
    return Case(populated.model, world.tables, query, populated.policies, frozenset(used))


def draw_case(chooser: Chooser) -> Case:
    return draw_query(chooser, draw_populated(chooser))


def _raw(chooser: Chooser, world: World, used: set[str]) -> Document:
    used.add("clause: raw fields")
    start = chooser.choose(world.objects)
    near = world.near(start)
    fields = [f"{chooser.choose(near)}.{chooser.choose(('Id', 'Kind', 'Qty', 'Day'))}" for _ in range(3)]
    select: Document = {"fields": list(dict.fromkeys(fields))}
    if chooser.chance(40):
        select["distinct"] = True
        used.add("clause: distinct")
    query: Document = {"select": select}
    if chooser.chance(50):
        query["where"] = [_predicate(chooser, near, used)]
    return query


def _absent(chooser: Chooser, world: World, used: set[str]) -> Document:
    used.add("clause: dimensionsExclude")
    near = world.near(chooser.choose(world.objects))
    names = [f"{chooser.choose(near)} {chooser.choose(('Kind', 'Size'))}" for _ in range(3)]
    names = list(dict.fromkeys(names))
    if len(names) < 2:
        names = [f"{near[0]} Kind", f"{near[0]} Size"]
    query: Document = {"select": {"dimensions": names}, "dimensionsExclude": True}
    if chooser.chance(40):
        query["where"] = [_predicate(chooser, near, used)]
    return query


def _grouped(chooser: Chooser, populated: Populated, used: set[str], *, alone: bool) -> Document:
    world = populated.world
    items: list[Made] = []
    if not alone:
        items = [chooser.choose(populated.made[-9:]) for _ in range(chooser.integer(1, 3))]
        items = list({one.name: one for one in items}.values())
    homes = sorted({home for one in items for home in one.homes}) or [chooser.choose(world.objects)]
    near = world.near(chooser.choose(homes))
    for one in items:
        used |= one.features
    dimensions = _selected(chooser, populated, items, near, used, alone=alone)
    query: Document = {"select": {"dimensions": dimensions}}
    if items:
        query["select"]["measures"] = _measures(chooser, world, items, near, used)
    if not items and not dimensions:
        query["select"]["dimensions"] = [f"{near[0]} Kind"]
    _filters(chooser, populated, query, near, used)
    _shape(chooser, query, items, used)
    return query


def _selected(
    chooser: Chooser,
    populated: Populated,
    items: Sequence[Made],
    near: Sequence[str],
    used: set[str],
    *,
    alone: bool,
) -> list[Any]:
    world = populated.world
    needed = sorted({dimension for one in items for dimension in one.needs})
    dimensions: list[Any] = [_grained(chooser, name, used) for name in needed]
    taken = set(needed)
    for _ in range(chooser.choose((1, 2) if alone else (0, 1, 1, 2))):
        objects = near if chooser.chance(80) else world.objects
        name = _dimension_of(chooser, populated, chooser.choose(objects))
        if name not in taken:
            taken.add(name)
            dimensions.append(_grained(chooser, name, used))
    if dimensions and chooser.chance(4) and isinstance(dimensions[-1], str):
        dimensions.append({"dimension": dimensions[-1], "as": "Again"})
        used.add("clause: a dimension twice")
    if chooser.chance(6) and len(world.objects) > 1:
        kind = chooser.choose(("Kind", "Kind", "Month", "Day"))
        pair = [f"{world.objects[0]} {kind}", f"{chooser.choose(world.objects[1:])} {kind}"]
        if not set(pair) & taken:
            dimensions.append({"coalesce": pair, "as": "Either"})
            used.add("clause: coalesce")
    used.add(f"clause: {min(len(dimensions), 3)} dimensions")
    return dimensions


def _dimension_of(chooser: Chooser, populated: Populated, name: str) -> str:
    kinds: tuple[str, ...] = ("Kind", "Kind", "Size", "Month", "Day")
    if f"{name} Class" in populated.model["dimensions"]:
        kinds = ("Class", "Rank", *kinds)
    if name == "Cat" and populated.world.shape.startswith("triangle"):
        return chooser.choose(("Cat Kind by Bee", "Cat Kind by Bee", "Cat Kind"))
    return f"{name} {chooser.choose(kinds)}"


def _grained(chooser: Chooser, name: str, used: set[str]) -> Any:
    if name.endswith(" by Bee"):
        used.add("clause: via")
        return name
    if not name.endswith(("Month", "Day")) or chooser.chance(75):
        return name
    grain = chooser.choose(("year", "quarter", "month", "week", "day", "fiscal_year", "fiscal_quarter"))
    used.add(f"grain: {grain}")
    if chooser.chance(30):
        used.add("clause: alias of a dimension")
        return {"dimension": name, "grain": grain, "as": f"{name} by {grain}"}
    return f"{name}:{grain}"


def _measures(chooser: Chooser, world: World, items: Sequence[Made], near: Sequence[str], used: set[str]) -> list[Any]:
    selected: list[Any] = []
    for one in items:
        if not chooser.chance(15):
            selected.append(one.name)
            continue
        used.add("clause: measure filtered by the query")
        for kind in ("x", "y") if chooser.chance(30) else ("x",):
            condition = _narrowing(chooser, world, near, kind, used)
            selected.append({"measure": one.name, "filter": [condition], "as": f"{kind} {one.name}"})
        if chooser.chance(20):
            used.add("clause: measure with and without a filter")
            selected.append(one.name)
    return selected


def _narrowing(chooser: Chooser, world: World, near: Sequence[str], kind: str, used: set[str]) -> Document:
    """A filter that the query adds to one measure: a member, or that or something else, perhaps far away."""
    condition: Document = {"field": f"{chooser.choose(near)}.Kind", "op": "equals", "value": kind}
    if chooser.chance(60):
        return condition
    used.add("clause: measure filtered by several fields")
    objects = near if chooser.chance(40) else world.objects
    others = [_predicate(chooser, objects, used) for _ in range(chooser.choose((1, 1, 2)))]
    group: Document = {"logic": chooser.choose(("or", "or", "and")), "filters": [condition, *others]}
    return {**group, "negated": True} if chooser.chance(20) else group


def _filters(chooser: Chooser, populated: Populated, query: Document, near: Sequence[str], used: set[str]) -> None:
    world = populated.world
    if chooser.chance(50):
        objects = near if chooser.chance(75) else world.objects
        query["where"] = [_clause(chooser, objects, used) for _ in range(chooser.choose((1, 1, 2)))]
    if chooser.chance(18):
        query["having"] = [_having(chooser, populated, query, used)]


def _having(chooser: Chooser, populated: Populated, query: Document, used: set[str]) -> Document:
    names = [item for item in query["select"].get("measures", ()) if isinstance(item, str)]
    numeric = {one.name for one in populated.made if one.numeric}
    pool = [name for name in names if name in numeric]
    used.add("clause: having")
    if not pool or chooser.chance(20):
        used.add("clause: having on what is not selected")
        pool = [f"{chooser.choose(populated.world.objects)} {chooser.choose(tuple(_BASES))}"]
    operator, value = chooser.choose((("gt", 1), ("lte", 2), ("notset", None), ("between", [0, 5]), ("set", None)))
    condition = {"field": chooser.choose(pool), "op": operator}
    labelled = [item["as"] for item in query["select"].get("measures", ()) if isinstance(item, dict)]
    if (
        labelled
        and chooser.chance(30)
        and all(one["measure"] in numeric for one in query["select"]["measures"] if isinstance(one, dict))
    ):
        used.add("clause: having on an alias")
        condition["field"] = chooser.choose(labelled)
    condition = condition if value is None else {**condition, "value": value}
    plain = [name for name in query["select"]["dimensions"] if isinstance(name, str) and name.endswith("Kind")]
    if plain and chooser.chance(30):
        used.add("clause: having on a dimension")
        member = {"field": chooser.choose(plain), "op": chooser.choose(("set", "notset"))}
        return {"logic": chooser.choose(("and", "or")), "filters": [condition, member]}
    return condition


def _shape(chooser: Chooser, query: Document, items: Sequence[Made], used: set[str]) -> None:
    """Adds grouping, order and limit."""
    select = query["select"]
    if select["dimensions"] and chooser.chance(12):
        query["grouping"] = chooser.choose(("rollup", "cube"))
        used.add(f"clause: {query['grouping']}")
    width = len(select["dimensions"]) + len(select.get("measures", ()))
    readable = len(select["dimensions"]) + sum(1 for one in items if one.numeric)
    if chooser.chance(25) and readable == width:
        place = chooser.integer(1, width)
        direction, nulls = chooser.choose(("asc", "desc")), chooser.choose(("first", "last"))
        query["orderBy"] = [{"field": str(place), "direction": direction, "nulls": nulls}]
        used.add("clause: order")
        if width > 1 and chooser.chance(40):
            second = chooser.choose([number for number in range(1, width + 1) if number != place])
            query["orderBy"].append(
                {"field": str(second), "direction": "desc", "nulls": chooser.choose(("first", "last"))}
            )
            used.add("clause: order by two keys")
    if chooser.chance(15) and ("orderBy" in query or "grouping" not in query):
        query["limit"] = chooser.integer(1, 4)
        used.add("clause: limit")
        if chooser.chance(30):
            query["offset"] = chooser.integer(0, 2)
            used.add("clause: offset")


# -- filters -----------------------------------------------------------------------------------------------------------

_STRINGS = ("x", "y", "X Y", "X", "nothing")
_OPERATORS: dict[str, tuple[tuple[str, Any], ...]] = {
    "string": (
        ("equals", "x"),
        ("notequals", "x"),
        ("inlist", ["x", "y"]),
        ("notinlist", ["x", "z"]),
        ("inlist", []),
        ("set", None),
        ("notset", None),
        ("contains", "x"),
        ("contains", "%"),
        ("contains", "P"),
        ("notcontains", "_"),
        ("starts_with", "a"),
        ("ends_with", "e"),
        ("starts_with", "50%"),
        ("like", "a%"),
        ("notlike", "_p%"),
        ("blank", None),
        ("notblank", None),
        ("length_gt", 1),
        ("length_eq", 4),
        ("length_lt", 4),
        ("regex", "^[ax]"),
        ("notregex", "p"),
    ),
    "int": (
        ("equals", 1),
        ("notequals", 2),
        ("gt", 0),
        ("gte", 1),
        ("lt", 2),
        ("lte", 1),
        ("between", [0, 2]),
        ("notbetween", [1, 2]),
        ("inlist", [1, 3]),
        ("notset", None),
    ),
    "float": (("gt", 1.5), ("lte", 2.0), ("between", [-1, 5]), ("set", None), ("equals", 0.25)),
    "date": (
        ("gte", "2024-01-01"),
        ("lt", "2024-02-29"),
        ("equals", "2024-01-31"),
        ("between", ["2023-02-01", "2024-03-31"]),
        ("notbetween", ["2024-01-01", "2024-12-31"]),
        ("notset", None),
        ("relative", {"unit": "month", "count": 2}),
        ("relative", {"unit": "year", "count": 1, "direction": "future"}),
        ("relative", {"unit": "week", "count": 6, "includeCurrent": False}),
    ),
    "timestamp": (("gte", "2024-01-31T12:00:00"), ("lt", "2024-02-01"), ("notset", None)),
    "boolean": (("equals", True), ("notequals", True), ("notset", None)),
}


def _clause(chooser: Chooser, objects: Sequence[str], used: set[str]) -> Document:
    roll = chooser.integer(1, 100)
    if roll <= 65:
        return _predicate(chooser, objects, used)
    if roll <= 72:
        return _exists(chooser, objects, used)
    members = [_predicate(chooser, objects, used) for _ in range(chooser.integer(2, 3))]
    if chooser.chance(20):
        members.append({"logic": "and", "filters": [_predicate(chooser, objects, used)], "negated": True})
    group: Document = {"logic": chooser.choose(("or", "or", "and")), "filters": members}
    used.add(f"clause: {group['logic']}")
    if chooser.chance(30):
        group["negated"] = True
        used.add("clause: not")
    return group


def _predicate(chooser: Chooser, objects: Sequence[str], used: set[str]) -> Document:
    name = chooser.choose(objects)
    label = chooser.choose(("Kind", "Kind", "Day", "Day", "Word", "Qty", "Amount", "At", "Flag"))
    operator, value = chooser.choose(_OPERATORS[COLUMN_TYPES[label][2]])
    field_name = f"{name}.{label}"
    if label in ("Kind", "Day") and chooser.chance(50):
        field_name = f"{name} {label}"
        if label == "Day" and chooser.chance(20):
            field_name = f"{name} Month:{chooser.choose(('month', 'quarter', 'year', 'week'))}"
            used.add("filter: on a period")
    used.add(f"filter: {operator}")
    condition: Document = {"field": field_name, "op": operator}
    return condition if value is None else {**condition, "value": value}


def _exists(chooser: Chooser, objects: Sequence[str], used: set[str]) -> Document:
    used.add("filter: exists")
    here, there = chooser.choose(objects), chooser.choose(objects)
    subquery: Document = {"dataObject": there}
    if chooser.chance(60):
        subquery["filter"] = [_inside(chooser, objects, used)]
    return {"field": f"{here}.Id", "op": chooser.choose(("exists", "nonexists")), "subquery": subquery}


def _inside(chooser: Chooser, objects: Sequence[str], used: set[str]) -> Document:
    """A filter inside EXISTS: on the target, or on what its row reaches."""
    own: Document = {"field": "Kind", "op": "equals", "value": "x"}
    if chooser.chance(50):
        return own
    used.add("filter: exists with several fields")
    further = {"field": f"{chooser.choose(objects)}.Kind", "op": chooser.choose(("notset", "set"))}
    group: Document = {"logic": chooser.choose(("or", "and")), "filters": [own, further]}
    return {**group, "negated": True} if chooser.chance(25) else group
