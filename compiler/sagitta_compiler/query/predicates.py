"""Filters of a query or a model -> predicates whose fields and operands are bound."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

from sagitta_compiler.diagnostics import Diagnostics
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.model.types import AbstractType, FilterOperator
from sagitta_compiler.plan.scalars import Literal
from sagitta_compiler.query.bound import (
    Clause,
    Group,
    LeafValue,
    Member,
    Predicate,
    RowExists,
    Selected,
    Test,
    Value,
    members_of,
)
from sagitta_compiler.query.filters import EMPTY_GROUP, EMPTY_GROUP_HINT
from sagitta_compiler.query.names import find_member
from sagitta_compiler.query.operands import operand, relative_range
from sagitta_compiler.query.query import Filter, FilterGroup, FilterNode, Logic

_O = FilterOperator
_NO_OPERAND = frozenset({_O.SET, _O.NOT_SET, _O.BLANK, _O.NOT_BLANK})
_TEXT_OPERAND = frozenset(
    {
        *(_O.CONTAINS, _O.NOT_CONTAINS, _O.STARTS_WITH, _O.ENDS_WITH, _O.LIKE, _O.NOT_LIKE),
        *(_O.ILIKE, _O.NOT_ILIKE, _O.REGEX, _O.NOT_REGEX),
    }
)
_LENGTH = frozenset({_O.LENGTH_EQ, _O.LENGTH_GT, _O.LENGTH_LT})
_LISTS = frozenset({_O.IN, _O.NOT_IN})
_RANGES = frozenset({_O.BETWEEN, _O.NOT_BETWEEN})
_NULL_TESTS = {_O.EQUALS: _O.NOT_SET, _O.NOT_EQUALS: _O.SET}

_BLANK = {_O.BLANK: _O.NOT_SET, _O.NOT_BLANK: _O.SET}
"""What they mean where there is no text that could be blank."""

_WRITTEN = {
    "a date": " such as 2026-01-31",
    "a timestamp": " such as 2026-01-31T08:30:00",
    "a boolean": ": true or false",
}
"""How a value of a type is written, where that is not plain."""

Subject = Member | Selected | Value
FindSubject = Callable[["PredicateBinder", Filter], Subject | None]
"""Looks up the field of a filter, and reports by the binder of its place that there is none."""


def _is_text(subject: Subject) -> bool:
    """Whether a field holds text, as far as its type is known."""
    return subject_type(subject) in (None, AbstractType.STRING, AbstractType.JSON)


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes by which a place reports bad filters."""

    field: str = "UNKNOWN_FILTER_FIELD"
    operator: str = "INVALID_FILTER_OPERATOR"
    value: str = "INVALID_FILTER_VALUE"


MEASURE_CODES = Codes("INVALID_MEASURE_FILTER", "INVALID_MEASURE_FILTER_OPERATOR", "INVALID_MEASURE_FILTER")


@dataclass(frozen=True, slots=True)
class PredicateBinder:
    """Binds filters of one place (`where`, `having`, a measure) and reports what has no meaning there."""

    model: ResolvedModel
    out: Diagnostics
    path: str
    now: dt.datetime | None = None
    codes: Codes = Codes()

    def under(self, step: str) -> PredicateBinder:
        """The binder of a place inside this one, such as `[0]`."""
        return replace(self, path=f"{self.path}{step}")

    def rows(self, node: FilterNode) -> Predicate | None:
        """A predicate on rows."""
        return self.bind(node, PredicateBinder._column)

    def all_rows(self, nodes: tuple[FilterNode, ...]) -> tuple[Predicate, ...] | None:
        """The predicates of a list of filters on rows; None after reporting why one is none."""
        return self.bind_all(nodes, PredicateBinder._column)

    def bind(self, node: FilterNode, find: FindSubject) -> Predicate | None:
        """A predicate whose fields `find` looks up; None after reporting why there is none."""
        if isinstance(node, FilterGroup):
            if not node.filters and node.logic is Logic.AND:
                self.out.error("SCHEMA_VALIDATION", EMPTY_GROUP, f"{self.path}.filters", hint=EMPTY_GROUP_HINT)
                return None
            members = self.under(".filters").bind_all(node.filters, find)
            return None if members is None else Group(node.logic, members, node.negated)
        subject = find(self, node)
        if subject is None:
            return None
        if node.operator in (_O.EXISTS, _O.NOT_EXISTS):
            return self._exists(node, subject)
        return self._test(node, subject)

    def bind_all(self, nodes: tuple[FilterNode, ...], find: FindSubject) -> tuple[Predicate, ...] | None:
        """The predicates of a list; None after reporting why one of them is none."""
        members = tuple(self.under(f"[{at}]").bind(node, find) for at, node in enumerate(nodes))
        return tuple(m for m in members if m is not None) if all(members) else None

    def clauses(self, nodes: tuple[FilterNode, ...], *, static: bool = False) -> list[Clause]:
        """The AND-ed members of a list of filters."""
        found: list[Clause] = []
        for step, node in flatten(nodes):
            predicate = self.under(step).rows(node)
            if predicate is not None:
                found.append(Clause(predicate, members_of(predicate), describe(node), static))
        return found

    def _column(self, node: Filter) -> Member | None:
        member = find_member(self.model, node.field, node.grain)
        if member is None:
            self._unknown_field(node.field, [*self.model.dimensions, *column_labels(self.model, node.field)])
        return member

    def _unknown_field(self, name: str, candidates: list[str]) -> None:
        if name in self.model.measures or name in self.model.metrics:
            message, hint = f"'{name}' is a measure, and this filters rows", "Filter measures in `having`."
        else:
            message, hint = f"'{name}' is neither a dimension nor a column", "Write a dimension or `Object.Column`."
        self.out.error(
            self.codes.field,
            message,
            self.path,
            hint=hint,
            context={"field": name},
            suggestions=self.out.near(name, candidates),
        )

    def _test(self, node: Filter, subject: Subject) -> Predicate | None:
        if node.operator is _O.RELATIVE:
            return self._relative(node, subject)
        values = tuple(node.values)
        if node.operator in _NULL_TESTS and values == (None,):
            return Test(subject, _NULL_TESTS[node.operator])
        if not self._counted(node, values) or not self._fits(node, subject):
            return None
        if node.operator in _BLANK and not _is_text(subject):
            return Test(subject, _BLANK[node.operator])
        if node.operator in _NO_OPERAND:
            return Test(subject, node.operator)
        operands = tuple(self._operand(node, value, subject) for value in values)
        return Test(subject, node.operator, tuple(o for o in operands if o is not None)) if all(operands) else None

    def _fits(self, node: Filter, subject: Subject) -> bool:
        """Reports an operator on text whose field holds none."""
        if node.operator not in _TEXT_OPERAND | _LENGTH or _is_text(subject):
            return True
        self.out.error(
            self.codes.operator,
            f"'{node.operator.value}' works on text, and '{node.field}' is a {subject_type(subject)}",
            f"{self.path}.operator",
            hint="Compare its values, or declare a computed column that casts it to text.",
            context={"field": node.field, "op": node.operator.value},
        )
        return False

    def _counted(self, node: Filter, values: tuple[object, ...]) -> bool:
        operator = node.operator
        if operator in _NO_OPERAND or operator in _LISTS:
            return True
        wanted = 2 if operator in _RANGES else 1
        if len(values) == wanted:
            return True
        what = "two values" if wanted == 2 else "one value"
        message = f"'{operator.value}' on '{node.field}' needs {what}, not {len(values)}"
        self._bad_value(node, message, f"Give it {what}.")
        return False

    def _operand(self, node: Filter, value: object, subject: Subject) -> Literal | None:
        found: Literal | None
        if node.operator in _TEXT_OPERAND:
            found = Literal(value) if isinstance(value, str) else None
            wanted = "text"
        elif node.operator in _LENGTH:
            whole = operand(value, AbstractType.INT)  # type: ignore[arg-type]
            found = whole if whole is not None and isinstance(whole.value, int) else None
            wanted = "a whole number"
        else:
            type_ = subject_type(subject)
            found = operand(value, type_)  # type: ignore[arg-type]
            wanted = f"a {type_.value}" if type_ else "a value"
        if found is None:
            message = f"'{value}' is not {wanted}, as '{node.operator.value}' on '{node.field}' needs"
            self._bad_value(node, message, f"Give it {wanted}{_WRITTEN.get(wanted, '')}.")
        return found

    def _bad_value(self, node: Filter, message: str, hint: str) -> None:
        context = {"field": node.field, "op": node.operator.value}
        self.out.error(self.codes.value, message, f"{self.path}.value", hint=hint, context=context)

    def _relative(self, node: Filter, subject: Subject) -> Predicate | None:
        if (
            node.relative is None
            or node.relative.count < 1
            or (t := subject_type(subject)) is None
            or not t.is_temporal
        ):
            self.out.error(
                "INVALID_RELATIVE_FILTER",
                f"'relative' on '{node.field}' needs a date or timestamp and a count of at least 1",
                self.path,
                context={"field": node.field},
            )
            return None
        start, end = relative_range(node.relative, self.now)
        return Group(Logic.AND, (Test(subject, _O.GTE, (start,)), Test(subject, _O.LT, (end,))))

    def _exists(self, node: Filter, subject: Subject) -> Predicate | None:
        if not isinstance(subject, Member | Selected) or node.subquery is None:
            self.out.error(
                "INVALID_FILTER_OPERATOR",
                f"'{node.operator.value}' needs a dimension or a column, and a `subquery`",
                self.path,
                context={"field": node.field},
            )
            return None
        sub = node.subquery
        if sub.object not in self.model.objects:
            self.out.error(
                "UNKNOWN_SUBQUERY_DATA_OBJECT",
                f"There is no data object '{sub.object}'",
                f"{self.path}.subquery.dataObject",
                context={"dataObject": sub.object},
                suggestions=self.out.near(sub.object, self.model.objects),
            )
            return None
        codes = replace(self.codes, field="UNKNOWN_SUBQUERY_FILTER_COLUMN")
        inner = replace(self.under(".subquery.filter"), codes=codes)
        bound = inner.bind_all(sub.filters, lambda place, inside: place.sub_column(inside, sub.object))
        if bound is None:
            return None
        return RowExists(subject, sub.object, sub.path_name, bound, node.operator is _O.NOT_EXISTS)

    def sub_column(self, node: Filter, target: str) -> Member | None:
        column = self.model.objects[target].columns.get(node.field)
        if column is not None:
            return find_member(self.model, f"{target}.{column.name}", node.grain)
        return self._column(node)


def subject_type(subject: Subject) -> AbstractType | None:
    """The type that a subject's operands have; None where only the warehouse knows."""
    match subject:
        case Member():
            return subject.type
        case Selected():
            return subject.dimension.type
        case LeafValue() if subject.type is None:
            ref = subject.measure.columns[:1]
            return subject.measure.result_type if not ref else None
        case _:
            return None


def flatten(nodes: tuple[FilterNode, ...]) -> list[tuple[str, FilterNode]]:
    """The AND-ed members, each with the steps that lead to it (`[0].filters[1]`): plain and-groups are opened.

    An empty one stays, to be refused where it is bound.
    """
    found: list[tuple[str, FilterNode]] = []
    for at, node in enumerate(nodes):
        if isinstance(node, FilterGroup) and node.filters and node.logic is Logic.AND and not node.negated:
            found.extend((f"[{at}].filters{step}", member) for step, member in flatten(node.filters))
        else:
            found.append((f"[{at}]", node))
    return found


def column_labels(model: ResolvedModel, field: str) -> list[str]:
    """`Object.Column` for every column of the object that a field seems to name."""
    name = field.partition(".")[0].strip()
    data_object = model.objects.get(name)
    return [f"{name}.{column}" for column in data_object.columns] if data_object else []


def describe(node: FilterNode) -> str:
    """A filter in words, for `explain`."""
    if isinstance(node, FilterGroup):
        text = f" {node.logic.value} ".join(describe(part) for part in node.filters)
        return f"not ({text})" if node.negated else f"({text})"
    if node.subquery is not None:
        return f"{node.field} {node.operator.value} {node.subquery.object}"
    values = ", ".join(str(value) for value in node.values)
    return f"{node.field} {node.operator.value} {values}".rstrip()
