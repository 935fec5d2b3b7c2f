"""What a measure's `grain` and `filterContext` make of the query's dimensions and filters."""

from __future__ import annotations

from sagitta_compiler.model.resolved import ColumnRef, FilterContext, Grain, ResolvedModel
from sagitta_compiler.model.types import GrainMode
from sagitta_compiler.query.bound import BoundDimension, Clause
from sagitta_compiler.query.names import find_column


def grain_of(grain: Grain | None, dims: tuple[BoundDimension, ...]) -> tuple[BoundDimension, ...]:
    """The dimensions by which a measure is grouped, among those of the query."""
    if grain is None:
        return dims
    kept = {*grain.keep_only, *grain.include}
    if grain.mode is GrainMode.FIXED:
        return tuple(dim for dim in dims if _is_one_of(dim, kept))
    left = (dim for dim in dims if not _is_one_of(dim, set(grain.exclude)))
    return tuple(dim for dim in left if not grain.keep_only or _is_one_of(dim, kept))


def _is_one_of(dim: BoundDimension, names: set[str]) -> bool:
    """Whether a dimension is one of those named; a coalesced one is none."""
    return len(dim.members) == 1 and not names.isdisjoint(dim.names)


def clauses_of(
    model: ResolvedModel, context: FilterContext | None, included: tuple[Clause, ...], clauses: tuple[Clause, ...]
) -> tuple[Clause, ...]:
    """The filters that apply to a measure. Static ones always stay."""
    if context is None:
        return clauses
    return (*(clause for clause in clauses if clause.static or _stays(model, context, clause)), *included)


def _stays(model: ResolvedModel, context: FilterContext, clause: Clause) -> bool:
    if context.keep_only:
        return _speaks_of(model, clause, context.keep_only)
    if context.mode is GrainMode.FIXED:
        return False
    return not _speaks_of(model, clause, context.exclude)


def _speaks_of(model: ResolvedModel, clause: Clause, names: tuple[str, ...]) -> bool:
    """Whether a clause names one of the fields, by the dimension or by the column that it stands for."""
    wanted: set[ColumnRef] = set()
    for name in names:
        dimension = model.dimensions.get(name)
        ref = dimension.ref if dimension is not None else find_column(model, name)
        if ref is not None:
            wanted.add(ref)
    return any(member.name in names or member.ref in wanted for member in clause.members)
