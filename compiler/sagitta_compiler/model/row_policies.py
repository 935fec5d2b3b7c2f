"""Row policies: read from a model, and bound to a caller late, so that one compiled model serves everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from sagitta_compiler.model.document import RowPolicyDocument
from sagitta_compiler.model.resolved import ResolvedModel, RowPolicy
from sagitta_compiler.model.scope import Scope
from sagitta_compiler.model.types import FilterOperator
from sagitta_compiler.names import near
from sagitta_compiler.query.filters import FilterReader, filter_leaves
from sagitta_compiler.query.query import Filter, FilterGroup, FilterNode, Scalar
from sagitta_compiler.source import Path

CODE = "DATA_OBJECT_PARSE_ERROR"
_CLAIM = re.compile(r"\{claims\.([^{}\s]+)\}")
_LISTS = frozenset({FilterOperator.IN, FilterOperator.NOT_IN})


@dataclass(frozen=True, slots=True)
class PolicyCaller:
    """What row policies may know of a caller: the values of each claim, and the roles."""

    claims: Mapping[str, tuple[Scalar, ...]] = field(default_factory=lambda: MappingProxyType({}))
    roles: frozenset[str] = frozenset()


class MissingClaimError(Exception):
    """A policy needs a claim that the caller does not carry, or carries in another number."""

    def __init__(self, data_object: str, claim: str, problem: str) -> None:
        super().__init__(f"The rows of '{data_object}' depend on the claim '{claim}', {problem}.")
        self.data_object = data_object
        self.claim = claim


def read_row_policy(scope: Scope, name: str, document: RowPolicyDocument | None, path: Path) -> RowPolicy | None:
    """Reads the policy of a data object: its fields are the object's own columns."""
    if document is None:
        return None
    if not document.filters:
        scope.report.error(CODE, f"The row policy of '{name}' has no filter", path, "Add `filters:`.")
        return None
    reader = FilterReader(scope.report.add, operator_code=CODE, value_code=CODE, shape_code=CODE)
    nodes = reader.read_all(document.filters, (*path, "filters"))
    for at, node in enumerate(nodes):
        place = (*path, "filters", at)
        for leaf in filter_leaves((node,)):
            _check_field(scope, name, leaf.field, place)
        for value in _operands(node):
            _check_operand(scope, value, place)
    return RowPolicy(nodes, frozenset(document.exempt_roles))


def bind_row_policies(model: ResolvedModel, caller: PolicyCaller) -> Mapping[str, tuple[FilterNode, ...]]:
    """The predicates that a caller's rows must pass, by data object.

    Raises:
        MissingClaimError: a policy needs a claim that the caller does not carry. Nobody sees fewer rows in silence.
    """
    return {
        name: tuple(_bound(node, name, caller) for node in policy.filters)
        for name, policy in model.row_policies.items()
        if not policy.exempt_roles & caller.roles
    }


def _bound(node: FilterNode, name: str, caller: PolicyCaller) -> FilterNode:
    if isinstance(node, FilterGroup):
        return replace(node, filters=tuple(_bound(part, name, caller) for part in node.filters))
    bound = replace(node, values=tuple(_values(node, name, caller)))
    if node.subquery is None:
        return bound
    inner = tuple(_bound(part, name, caller) for part in node.subquery.filters)
    return replace(bound, subquery=replace(node.subquery, filters=inner))


def _values(node: Filter, name: str, caller: PolicyCaller) -> Iterator[Scalar]:
    for value in node.values:
        found = _CLAIM.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            yield value
            continue
        claim = found[1]
        held = caller.claims.get(claim, ())
        if not held:
            raise MissingClaimError(name, claim, "which your credential does not carry")
        if len(held) > 1 and node.operator not in _LISTS:
            raise MissingClaimError(name, claim, "which has several values where one is meant")
        yield from held


def _check_field(scope: Scope, name: str, written: str, path: Path) -> None:
    columns = scope.columns(name)
    if written in columns or written.removeprefix(f"{name}.") in columns:
        return
    scope.report.error(
        "UNKNOWN_FILTER_COLUMN",
        f"'{written}' is not a column of '{name}', whose rows the policy is about",
        path,
        None,
        suggestions=near(written, columns),
    )


def _check_operand(scope: Scope, value: Scalar, path: Path) -> None:
    if isinstance(value, str) and "{claims" in value and _CLAIM.fullmatch(value) is None:
        hint = "Write the whole operand as `{claims.NAME}`."
        scope.report.error(CODE, f"'{value}' is not a claim of the caller", path, hint)


def _operands(node: FilterNode) -> Iterator[Scalar]:
    for leaf in filter_leaves((node,)):
        yield from leaf.values
        if leaf.subquery is not None:
            for part in leaf.subquery.filters:
                yield from _operands(part)
