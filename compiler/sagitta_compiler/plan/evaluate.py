"""Values by dimensions under filters -> a frame: legs united, coarser leaves joined back, operators on top.

This is the algebra's one recursive function. What an operator needs evaluated elsewhere (another period, a finer grain)
is a further call with other dimensions or filters, so that every feature composes with every other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sagitta_compiler.plan.compare import add_comparison, reads_apart, with_spine
from sagitta_compiler.plan.context import grain_of
from sagitta_compiler.plan.frames import PRESENCE, Frame, join_back, unite
from sagitta_compiler.plan.legs import Coordinates, build_leg, coordinates, reach_of, supplied_under
from sagitta_compiler.plan.nested import nested_frame
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.scalars import Literal, Scalar, Template
from sagitta_compiler.plan.semi_additive import semi_additive_frame
from sagitta_compiler.plan.windows import add_cumulative, add_window
from sagitta_compiler.query.bound import (
    BoundDimension,
    Clause,
    CompareValue,
    CumulativeValue,
    FormulaValue,
    LeafValue,
    NestedValue,
    Value,
    WindowValue,
    inputs_of,
)


@dataclass(slots=True)
class _Needs:
    """The leaves below some values: those to compute here, and those whose rows are wanted."""

    here: dict[LeafValue | NestedValue, None] = field(default_factory=dict)
    rows: dict[LeafValue | NestedValue, None] = field(default_factory=dict)
    compared: dict[CompareValue, None] = field(default_factory=dict)

    @property
    def nested(self) -> list[NestedValue]:
        """The nested aggregations among them."""
        return [leaf for leaf in dict.fromkeys((*self.rows, *self.here)) if isinstance(leaf, NestedValue)]


def evaluate(
    planner: Planner,
    dims: tuple[BoundDimension, ...],
    clauses: tuple[Clause, ...],
    values: Iterable[Value],
    tested: Iterable[Value] = (),
    wanted: Frame | None = None,
) -> Frame:
    """The frame of `values` by `dims`; values that are only `tested` bring no rows of their own.

    The time dimension of a comparison among the values is without gaps if it stands alone.
    The members of `wanted` have rows whatever the leaves say.
    """
    needs = _Needs()
    for value in values:
        _collect(value, dims, clauses, needs, rows=True)
    for value in tested:
        _collect(value, dims, clauses, needs, rows=False)
    legs, sides = _place(planner, dims, clauses, needs)
    walked = tuple(dict.fromkeys((*planner.query.dimensions, *dims)))
    frames = [build_leg(planner, where, tuple(leaves), walked) for where, leaves in legs.items()]
    supplying, beside = _nested(planner, dims, clauses, needs)
    frame = unite([*frames, *supplying], dims, planner.labels)
    if needs.compared:
        frame = with_spine(planner, frame, dims, tuple(needs.compared))
    if wanted is not None:
        frame = unite([frame.plus(PRESENCE, Literal(1)), wanted], dims, planner.labels, "with those asked for")
    frame = _with_sides(planner, frame, sides, walked)
    for found in beside:
        frame = _beside(planner, frame, found)
    for value in (*values, *tested):
        frame = add(planner, frame, dims, clauses, value)
    return frame


def add(
    planner: Planner, frame: Frame, dims: tuple[BoundDimension, ...], clauses: tuple[Clause, ...], value: Value
) -> Frame:
    """The frame with a value computed from what it has."""
    if value in frame.values:
        return frame
    if not isinstance(value, CompareValue):
        for part in inputs_of(value) if not isinstance(value, NestedValue) else ():
            frame = add(planner, frame, dims, clauses, part)
    match value:
        case FormulaValue():
            return _with_formula(frame, value)
        case CumulativeValue():
            return add_cumulative(planner, frame, dims, value)
        case WindowValue():
            return add_window(planner, frame, dims, value)
        case CompareValue():
            if not reads_apart(dims, clauses, value):
                frame = add(planner, frame, dims, clauses, value.input)
            return add_comparison(planner, frame, dims, clauses, value, evaluate)
        case LeafValue() | NestedValue():
            raise AssertionError(f"the leaf of {value.name} was not placed")


def formula(value: FormulaValue, values: dict[Value, Scalar]) -> Scalar:
    """A formula over the scalars of its inputs."""
    return Template(value.expression, tuple((name, values[part]) for name, part in value.inputs))


def _with_formula(frame: Frame, value: FormulaValue) -> Frame:
    windowed = any(part in frame.windows for _, part in value.inputs)
    return frame.plus(value, formula(value, frame.values), window=windowed)


def _collect(
    value: Value,
    dims: tuple[BoundDimension, ...],
    clauses: tuple[Clause, ...],
    needs: _Needs,
    *,
    rows: bool,
    here: bool = True,
) -> None:
    """Gathers the leaves below a value; a comparison reads its own, and only the rows of the current period here."""
    match value:
        case LeafValue():
            if here:
                needs.here[value] = None
            if rows:
                needs.rows[value] = None
        case NestedValue():
            if here:
                needs.here[value] = None
            if rows and grain_of(value.grain, dims) == dims:
                needs.rows[value] = None
            elif rows:  # a coarser one supplies the rows of what it is made of, but not the gaps between them
                inside = _Needs()
                _collect(value.inner, dims, clauses, inside, rows=True, here=False)
                needs.rows |= inside.rows
        case CompareValue():
            needs.compared[value] = None
            apart = reads_apart(dims, clauses, value)
            _collect(value.input, dims, clauses, needs, rows=rows, here=here and not apart)
        case _:
            for part in inputs_of(value):
                _collect(part, dims, clauses, needs, rows=rows, here=here)


def _place(
    planner: Planner, dims: tuple[BoundDimension, ...], clauses: tuple[Clause, ...], needs: _Needs
) -> tuple[dict[Coordinates, list[LeafValue]], dict[Coordinates, list[LeafValue]]]:
    """Sorts the leaves into legs, which bring rows, and sides, which are joined back."""
    legs: dict[Coordinates, list[LeafValue]] = {}
    sides: dict[Coordinates, list[LeafValue]] = {}
    rest: list[tuple[LeafValue, Coordinates]] = []
    suppliers: list[Coordinates] = []
    for leaf in dict.fromkeys((*needs.rows, *needs.here)):
        if isinstance(leaf, NestedValue):
            continue
        where = coordinates(planner, leaf, dims, clauses)
        under = supplied_under(planner, leaf, dims, clauses)
        if leaf in needs.rows and (where.grain, where.clauses) == (dims, under) and leaf.measure.semi_additive is None:
            legs.setdefault(where, []).extend([leaf] if leaf in needs.here else [])
            continue
        if leaf in needs.rows:
            suppliers.append(Coordinates(where.home, dims, under, demands=where.demands))
        rest.append((leaf, where))
    for supplier in dict.fromkeys(suppliers):
        if not any(where.brings_rows_of(supplier) for where in legs):
            legs[supplier] = []
    if not legs and not any(isinstance(leaf, NestedValue) for leaf in needs.rows):
        home = planner.anchor_of(planner.query.dimensions or dims)
        legs[Coordinates(home, dims, clauses, unmeasured=planner.query.measured)] = []
    for leaf, where in rest:
        if leaf in needs.here:
            shared = where in legs and leaf.measure.semi_additive is None
            (legs if shared else sides).setdefault(where, []).append(leaf)
    return legs, sides


def _nested(
    planner: Planner, dims: tuple[BoundDimension, ...], clauses: tuple[Clause, ...], needs: _Needs
) -> tuple[list[Frame], list[Frame]]:
    """The frames of nested aggregations: those that bring rows, and those that are joined back."""
    supplying: list[Frame] = []
    beside: list[Frame] = []
    for value in needs.nested:
        grain, applied = reach_of(planner, value, dims, clauses)
        found = nested_frame(planner, value, grain, applied, evaluate)
        under = supplied_under(planner, value, dims, clauses)
        if value in needs.rows and under == applied:
            supplying.append(found)
            continue
        beside.append(found)
        if value in needs.rows:
            supplying.append(replace(nested_frame(planner, value, dims, under, evaluate), values={}))
    return supplying, beside


def _with_sides(
    planner: Planner,
    frame: Frame,
    sides: dict[Coordinates, list[LeafValue]],
    walked: tuple[BoundDimension, ...],
) -> Frame:
    for where, leaves in sides.items():
        plain = tuple(leaf for leaf in leaves if leaf.measure.semi_additive is None)
        found = [build_leg(planner, where, plain, walked)] if plain else []
        found += [semi_additive_frame(planner, where, leaf, walked) for leaf in leaves if leaf not in plain]
        for side in found:
            frame = _beside(planner, frame, side)
    return frame


def _beside(planner: Planner, frame: Frame, side: Frame) -> Frame:
    on = tuple(side.dims)
    name = f"by {' and '.join(on)}" if on else "overall"
    return join_back(frame, side, on, planner.labels, name, f"{name}: joined back")
