"""The plan as data in the documented words, and as a tree for people."""

from __future__ import annotations

from collections.abc import Iterator

from sagitta_compiler.plan.build import Plan
from sagitta_compiler.plan.relations import Except, Relation, Select, Spine, Table, Union, Unnest
from sagitta_compiler.query.bound import BoundQuery, LeafValue, NestedValue, Value, inputs_of
from sagitta_compiler.sql.result import Explain, JoinStep, Leg


def explain(plan: Plan, query: BoundQuery) -> Explain:
    """What was planned and why."""
    legs = plan.legs
    several = len({(leg.home, leg.root) for leg in legs}) > 1
    if query.fields:
        planner, reason = "Raw", "raw fields: rows, not groups"
    elif several:
        planner, reason = "CFL", "the measures count rows of different objects: each is aggregated alone, then united"
    else:
        planner, reason = "Star Schema", "one object sees every dimension, measure and filter"
    first = legs[0]
    return Explain(
        planner,
        reason,
        first.root,
        first.reason,
        _joins(legs),
        len(query.clauses),
        len(query.having),
        any(_is_total(measure.value) for measure in query.measures),
        legs,
        tree(plan.select, legs),
    )


def _joins(legs: tuple[Leg, ...]) -> tuple[JoinStep, ...]:
    """Every join of the plan once, with the reason of the leg that makes it first."""
    found: dict[object, JoinStep] = {}
    for step in (step for leg in legs for step in leg.joins):
        found.setdefault((step.from_object, step.to_object, step.columns), step)
    return tuple(found.values())


def _is_total(value: Value) -> bool:
    if isinstance(value, LeafValue) and value.grain is not None:
        return True
    return not isinstance(value, NestedValue) and any(_is_total(part) for part in inputs_of(value))


def tree(select: Select, legs: tuple[Leg, ...]) -> str:
    """The operators, outermost first, each with what it reads; then the legs with their joins."""
    return "\n".join([*_lines(select, 0, set()), *_leg_lines(legs)])


def _lines(relation: Relation, depth: int, seen: set[int]) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(relation, Table):
        yield f"{indent}table {relation.source.qualified} ({relation.object})"
        return
    if isinstance(relation, Unnest):
        yield f"{indent}unnest"
        return
    again = " (as above)" if id(relation) in seen else ""
    yield f"{indent}{_title(relation)}{again}"
    if again:
        return
    seen.add(id(relation))
    for part in _inputs(relation):
        yield from _lines(part, depth + 1, seen)


def _title(relation: Select | Union | Except | Spine) -> str:
    match relation:
        case Select():
            words = [f"select {relation.name}"]
            if relation.note:
                words.append(f"[{relation.note}]")
            words += [word for word, there in _marks(relation) if there]
            return " ".join(words)
        case Union():
            return f"unite {relation.name} [{relation.note}]" if relation.note else f"unite {relation.name}"
        case Except():
            return f"except {relation.name}"
        case Spine():
            return f"calendar of {relation.column} by {relation.grain.value}"


def _marks(select: Select) -> list[tuple[str, bool]]:
    return [
        ("distinct", select.distinct),
        ("where", select.where is not None),
        (f"group by {len(select.group or ())}", select.group is not None),
        ("having", select.having is not None),
        ("order", bool(select.order)),
        (f"limit {select.limit}", select.limit is not None),
        (f"offset {select.offset}", select.offset is not None),
    ]


def _inputs(relation: Select | Union | Except | Spine) -> Iterator[Relation]:
    match relation:
        case Select():
            if relation.source is not None:
                yield relation.source.relation
            yield from (join.source.relation for join in relation.joins)
        case Union():
            yield from relation.selects
        case Except():
            yield from (relation.left, relation.right)
        case Spine():
            yield relation.over


def _leg_lines(legs: tuple[Leg, ...]) -> Iterator[str]:
    for leg in legs:
        what = ", ".join(leg.measures) or "members"
        shift = f", {leg.shift} away" if leg.shift else ""
        yield f"leg {what}: home {leg.home}, root {leg.root}{shift} ({leg.reason})"
        for step in leg.joins:
            on = " and ".join(f"{near} = {far}" for near, far in step.columns)
            yield f"  join {step.from_object} -> {step.to_object} on {on} ({step.cardinality}; {step.reason})"
        for text in leg.filters:
            yield f"  filter {text}"
