"""Query + ResolvedModel -> BoundQuery: every name gets its meaning; what has none is reported, all in one run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sagitta_compiler.context import CompileContext
from sagitta_compiler.diagnostics import Diagnostics
from sagitta_compiler.model.resolved import ColumnRef, Dimension, ResolvedModel
from sagitta_compiler.model.types import TimeGrain
from sagitta_compiler.names import near
from sagitta_compiler.plan.context import grain_of
from sagitta_compiler.query.bound import (
    BoundDimension,
    BoundField,
    BoundMeasure,
    BoundQuery,
    Clause,
    CompareValue,
    CumulativeValue,
    LeafValue,
    Member,
    NestedValue,
    OrderKey,
    Predicate,
    Selected,
    Value,
    WindowValue,
    grouping_flag,
    inputs_of,
    values_of,
)
from sagitta_compiler.query.names import dimension_member, parse_grain, split_grain
from sagitta_compiler.query.predicates import PredicateBinder, flatten
from sagitta_compiler.query.query import (
    CoalesceItem,
    DimensionItem,
    FieldItem,
    Filter,
    FilterGroup,
    FilterNode,
    MeasureItem,
    OrderItem,
    Query,
)
from sagitta_compiler.query.values import ValueBinder
from sagitta_compiler.sql.result import Role


def bind_query(model: ResolvedModel, query: Query, context: CompileContext, out: Diagnostics) -> BoundQuery:
    """Binds a query; the result is only meant to be used when `out` has no errors."""
    return _Binder(model, query, context, out).bind()


class _Binder:
    def __init__(self, model: ResolvedModel, query: Query, context: CompileContext, out: Diagnostics) -> None:
        self._model = model
        self._query = query
        self._context = context
        self._out = out
        self._values = ValueBinder(model, out, context.now)
        self._where = PredicateBinder(model, out, "where", context.now)

    def bind(self) -> BoundQuery:
        query = self._query
        self._check_shape()
        dimensions = self._dimensions()
        measures = self._measures()
        found = (self._field(item, f"select.fields[{at}]") for at, item in enumerate(query.fields))
        fields = tuple(bound for bound in found if bound is not None)
        labels = [*(d.label for d in dimensions), *(m.label for m in measures), *(f.label for f in fields)]
        self._check_labels(labels)
        having = self._having(dimensions, measures)
        for value in (*(m.value for m in measures), *values_of(having)):
            self._check_value(value, dimensions)
        return BoundQuery(
            dimensions,
            measures,
            fields,
            query.distinct,
            self._clauses(),
            having,
            self._order(dimensions, measures, fields),
            query.limit,
            query.offset,
            query.use_path_names,
            query.dimensions_exclude,
            query.allow_fan_out,
            query.grouping if dimensions else None,  # over no dimension, the grand total is all there is
            query.column_order,
            self._policies(),
        )

    def _check_shape(self) -> None:
        query = self._query
        if query.fields and (
            query.dimensions or query.measures or query.having or query.grouping or query.dimensions_exclude
        ):
            self._out.error(
                "INVALID_SELECT",
                "Raw fields cannot be combined with dimensions, measures, having, grouping or dimensionsExclude",
                "select",
                hint="Ask for `fields` alone, or for dimensions and measures.",
            )
        elif not (query.fields or query.dimensions or query.measures):
            self._out.error(
                "EMPTY_SELECT", "The query selects nothing", "select", hint="Name a dimension, a measure or a field."
            )
        if query.distinct and not query.fields:
            self._out.error("INVALID_SELECT", "`distinct` belongs to raw fields", "select.distinct")
        if query.dimensions_exclude and len(query.dimensions) < 2:
            self._out.error(
                "DIMENSIONS_EXCLUDE_INSUFFICIENT", "dimensionsExclude needs at least two dimensions", "select"
            )
        if query.dimensions_exclude and query.measures:
            self._out.error(
                "DIMENSIONS_EXCLUDE_WITH_MEASURES", "dimensionsExclude takes no measures", "select.measures"
            )
        for at, choice in enumerate(query.use_path_names):
            known = (choice.source, choice.target, choice.path_name)
            if not any((j.source, j.target, j.path_name) == known for j in self._model.joins):
                names = [j.path_name for j in self._model.joins if j.path_name and j.source == choice.source]
                self._out.error(
                    "UNKNOWN_PATH_NAME",
                    f"There is no path '{choice.path_name}' from '{choice.source}' to '{choice.target}'",
                    f"usePathNames[{at}]",
                    context={"source": choice.source, "target": choice.target, "pathName": choice.path_name},
                    suggestions=self._out.near(choice.path_name, names),
                )

    def _check_labels(self, labels: list[str]) -> None:
        for label, times in Counter(labels).items():
            if times > 1:
                self._out.error(
                    "DUPLICATE_OUTPUT_LABEL",
                    f"Two columns of the result would be called '{label}'",
                    "select",
                    hint='Give one of them another label with "as".',
                    context={"label": label},
                )

    # dimensions

    def _dimensions(self) -> tuple[BoundDimension, ...]:
        found: list[BoundDimension] = []
        taken: set[str] = set()
        for at, item in enumerate(self._query.dimensions):
            path = f"select.dimensions[{at}]"
            bound = (
                self._coalesced(item, path) if isinstance(item, CoalesceItem) else self._dimension(item, taken, path)
            )
            if bound is not None:
                taken.add(bound.label)
                found.append(bound)
        return tuple(found)

    def _dimension(self, item: DimensionItem, taken: set[str], path: str) -> BoundDimension | None:
        name, grain = item.name, item.grain
        if name not in self._model.dimensions and grain is None:
            name, suffix = split_grain(self._model, name)
            if suffix is not None and name in self._model.dimensions and (grain := parse_grain(suffix)) is None:
                self._out.error(
                    "INVALID_TIME_GRAIN",
                    f"'{suffix}' is no time grain",
                    path,
                    hint=f"Use one of {', '.join(g.value for g in TimeGrain)}.",
                    context={"dimension": name, "grain": suffix},
                    suggestions=near(suffix, [g.value for g in TimeGrain]),
                )
                return None
        dimension = self._find_dimension(name, item.name, path)
        if dimension is None:
            return None
        used = grain or dimension.time_grain
        member = dimension_member(self._model, dimension, used)
        if used is not None and not member.type.is_temporal:
            self._out.error(
                "INVALID_TIME_GRAIN",
                f"'{name}' is a {member.type.value} and has no time grain",
                path,
                context={"dimension": name, "grain": used.value},
            )
            return None
        label = item.alias or name
        if item.alias is None and used is not None and (label in taken or (grain and self._is_plain(name))):
            label = f"{name}:{used.value}"
        return BoundDimension(label, (member,), name, (name,), dimension.format)

    def _is_plain(self, name: str) -> bool:
        """Whether a dimension is also selected as it is, under its own name."""
        items = (item for item in self._query.dimensions if isinstance(item, DimensionItem))
        return any((item.name, item.grain, item.alias) == (name, None, None) for item in items)

    def _find_dimension(self, name: str, asked: str, path: str) -> Dimension | None:
        dimension = self._model.dimensions.get(name)
        if dimension is None:
            suggestions = self._out.near(name, self._model.dimensions)
            hint = (
                f"Did you mean '{suggestions[0]}'?"
                if suggestions
                else "List the dimensions of the model to see their names."
            )
            if name in self._model.measures or name in self._model.metrics:
                hint = f"'{name}' is a measure: put it under `measures`."
            self._out.error(
                "UNKNOWN_DIMENSION",
                f"There is no dimension '{asked}'",
                path,
                hint=hint,
                context={"dimension": asked},
                suggestions=suggestions,
            )
        return dimension

    def _coalesced(self, item: CoalesceItem, path: str) -> BoundDimension | None:
        if not self._check_coalesce(item, path):
            return None
        found = [
            self._dimension(DimensionItem(name), set(), f"{path}.coalesce[{at}]") for at, name in enumerate(item.names)
        ]
        bound = [dimension for dimension in found if dimension is not None]
        if len(bound) < len(found):
            return None
        if not self._check_types(item, bound, path):
            return None
        members = tuple(d.members[0] for d in bound)
        return BoundDimension(item.alias, members, item.alias, tuple(d.source for d in bound), bound[0].format)

    def _check_types(self, item: CoalesceItem, members: list[BoundDimension], path: str) -> bool:
        """Whether the members agree in the types that they declare and in those of their values."""
        declared = {self._model.dimensions[d.source].result_type for d in members}
        held = {d.type for d in members}
        numbers = all(type_.is_numeric for type_ in held)  # whole and other numbers are compared alike
        for words, types in (("different types", declared), ("values of different types", set() if numbers else held)):
            if len(types) > 1:
                listed = ", ".join(sorted(t.value for t in types))
                message = f"The members of '{item.alias}' have {words}: {listed}"
                context = {"alias": item.alias, "members": item.names}
                self._out.error("COALESCE_TYPE_MISMATCH", message, path, context=context)
                return False
        return True

    def _check_coalesce(self, item: CoalesceItem, path: str) -> bool:
        aliases = Counter(i.alias for i in self._query.dimensions if isinstance(i, CoalesceItem))
        model = self._model
        problem = None
        if not item.alias:
            problem = ("COALESCE_MISSING_ALIAS", 'A coalesce needs a name: add "as"')
        elif aliases[item.alias] > 1:
            problem = ("DUPLICATE_COALESCE_ALIAS", f"Two coalesced dimensions are called '{item.alias}'")
        elif item.alias in model.dimensions or item.alias in model.measures or item.alias in model.metrics:
            problem = ("COALESCE_ALIAS_COLLISION", f"'{item.alias}' is already a name of the model")
        elif len(item.names) < 2:
            problem = ("COALESCE_TOO_FEW_MEMBERS", f"'{item.alias}' needs at least two dimensions")
        if problem is not None:
            self._out.error(*problem, path, context={"alias": item.alias})
        return problem is None

    # measures and fields

    def _measures(self) -> tuple[BoundMeasure, ...]:
        found: list[BoundMeasure] = []
        for at, item in enumerate(self._query.measures):
            path = f"select.measures[{at}]"
            filters = self._item_filters(item, path)
            value = None if filters is None else self._values.value(item.name, filters, path)
            if value is not None:
                metric = self._model.metrics.get(item.name)
                artefact = metric or self._model.measures[item.name]
                role = Role.MEASURE if metric is None else Role.METRIC
                found.append(BoundMeasure(item.alias or item.name, value, item.name, role, artefact.format))
        return tuple(found)

    def _item_filters(self, item: MeasureItem, path: str) -> tuple[Predicate, ...] | None:
        binder = replace(self._where, path=f"{path}.filter")
        bound = tuple(binder.under(step).rows(node) for step, node in flatten(item.filters))
        return tuple(p for p in bound if p is not None) if all(bound) else None

    def _field(self, item: FieldItem, path: str) -> BoundField | None:
        if (data_object := self._model.objects.get(item.object)) is None:
            self._out.error(
                "RAW_FIELD_UNKNOWN_OBJECT",
                f"There is no data object '{item.object}'",
                path,
                context={"dataObject": item.object},
                suggestions=self._out.near(item.object, self._model.objects),
            )
            return None
        if (column := data_object.columns.get(item.column)) is None:
            self._out.error(
                "RAW_FIELD_UNKNOWN_COLUMN",
                f"'{item.object}' has no column '{item.column}'",
                path,
                context={"dataObject": item.object, "column": item.column},
                suggestions=self._out.near(item.column, data_object.columns),
            )
            return None
        label = f"{item.object}.{item.column}"
        member = Member(ColumnRef(item.object, item.column), column.type, name=label)
        return BoundField(item.alias or label, member)

    # filters

    def _clauses(self) -> tuple[Clause, ...]:
        static = PredicateBinder(self._model, self._out, "filters", self._context.now).clauses(
            self._model.filters, static=True
        )
        asked = self._where.clauses(self._query.where)
        found: dict[Predicate, Clause] = {}
        for clause in (*static, *asked):
            found.setdefault(clause.predicate, clause)
        return tuple(found.values())

    def _policies(self) -> tuple[Clause, ...]:
        if (policies := self._context.row_policies) is None:
            if self._model.row_policies:
                self._out.error(
                    "ROW_POLICY_UNBOUND",
                    "The model has row policies, and nothing says who asks",
                    f"dataObjects.{next(iter(self._model.row_policies))}.rowPolicy",
                )
            return ()
        found: list[Clause] = []
        for name, nodes in policies.items():
            if name in self._model.objects:
                binder = PredicateBinder(self._model, self._out, f"rowPolicies.{name}", self._context.now)
                found.extend(binder.clauses(_qualified(nodes, name, self._model), static=True))
        return tuple(found)

    def _having(
        self, dimensions: tuple[BoundDimension, ...], measures: tuple[BoundMeasure, ...]
    ) -> tuple[Predicate, ...]:
        binder = PredicateBinder(self._model, self._out, "having", self._context.now)
        first = {d.source: Selected(d) for d in reversed(dimensions)}  # of one selected twice the first, as in `order`
        selected = {**first, **{d.label: Selected(d) for d in dimensions}}
        labelled = {m.label: m.value for m in measures}

        def subject(place: PredicateBinder, node: Filter) -> Selected | Value | None:
            if node.field in selected:
                return selected[node.field]
            if node.field in labelled:
                return labelled[node.field]
            if node.field in self._model.measures or node.field in self._model.metrics:
                return self._values.value(node.field, (), place.path)
            self._unknown_having(
                place.path, node.field, [*selected, *labelled, *self._model.measures, *self._model.metrics]
            )
            return None

        bound = tuple(binder.under(f"[{at}]").bind(node, subject) for at, node in enumerate(self._query.having))
        return tuple(p for p in bound if p is not None)

    def _unknown_having(self, path: str, name: str, candidates: list[str]) -> None:
        unselected = name in self._model.dimensions
        self._out.error(
            "UNKNOWN_FILTER_FIELD",
            f"'{name}' is not selected" if unselected else f"'{name}' is neither a measure nor a selected dimension",
            path,
            hint="Select it, or filter rows by it in `where`." if unselected else None,
            context={"field": name},
            suggestions=self._out.near(name, candidates),
        )

    # order

    def _order(
        self,
        dimensions: tuple[BoundDimension, ...],
        measures: tuple[BoundMeasure, ...],
        fields: tuple[BoundField, ...],
    ) -> tuple[OrderKey, ...]:
        labels = [*(d.label for d in dimensions), *(m.label for m in measures), *(f.label for f in fields)]
        if self._query.grouping is not None:
            labels += [grouping_flag(dimension) for dimension in dimensions]
        shown = list(self._query.column_order) or labels
        names = {label: label for label in labels}
        for dimension in dimensions:
            names.setdefault(dimension.source, dimension.label)
            if dimension.grain is not None:
                names.setdefault(f"{dimension.source}:{dimension.grain.value}", dimension.label)
        for measure in measures:
            names.setdefault(measure.source, measure.label)
        found = [self._order_key(item, names, shown, f"orderBy[{at}]") for at, item in enumerate(self._query.order_by)]
        return tuple(key for key in found if key is not None)

    def _order_key(self, item: OrderItem, names: dict[str, str], shown: list[str], path: str) -> OrderKey | None:
        label = names.get(item.field)
        if label is None and item.field.isdigit():
            position = int(item.field)
            if not 1 <= position <= len(shown):
                self._out.error(
                    "INVALID_ORDER_BY_POSITION",
                    f"There is no column {position}: the result has {len(shown)}",
                    path,
                    context={"position": position, "columns": len(shown)},
                )
                return None
            label = shown[position - 1]
        if label is None:
            self._out.error(
                "UNKNOWN_ORDER_BY_FIELD",
                f"'{item.field}' is not a column of the result",
                path,
                hint="Order by a selected name or by a 1-based position.",
                context={"field": item.field},
                suggestions=self._out.near(item.field, names),
            )
            return None
        return OrderKey(label, item.direction, item.nulls)

    # what a value needs of the query

    def _check_value(self, value: Value, dimensions: tuple[BoundDimension, ...]) -> None:
        names = {name for dimension in dimensions for name in dimension.names}
        match value:
            case CumulativeValue():
                self._need(value.metric.time_dimension, names, value.name, "CUMULATIVE_TIME_DIMENSION_NOT_IN_SELECT")
                self._need_all(value.metric.partition_by or (), names, value.name)
            case CompareValue():
                self._need(value.metric.time_dimension, names, value.name, "POP_TIME_DIMENSION_NOT_IN_SELECT")
            case WindowValue():
                if value.metric.time_dimension is not None:
                    self._need(value.metric.time_dimension, names, value.name, "WINDOW_TIME_DIMENSION_NOT_IN_SELECT")
                self._need_all(value.metric.partition_by, names, value.name)
            case LeafValue():
                self._check_leaf(value, names)
            case NestedValue():
                dimensions = (*grain_of(value.grain, dimensions), *value.over)
            case _:
                pass
        for part in inputs_of(value):
            self._check_value(part, dimensions)

    def _check_leaf(self, value: LeafValue, names: set[str]) -> None:
        for name in value.grain.include if value.grain is not None else ():
            if name not in names:
                self._out.error(
                    "GRAIN_NOT_SUBSET",
                    f"The grain of '{value.name}' includes '{name}', which the query does not select",
                    "select.dimensions",
                    hint=f"Select '{name}', or aggregate over it with a nested measure (`over`).",
                    context={"measure": value.name, "dimension": name},
                )

    def _need_all(self, wanted: tuple[str, ...], names: set[str], metric: str) -> None:
        for name in wanted:
            self._need(name, names, metric, "UNKNOWN_PARTITION_DIMENSION")

    def _need(self, name: str, names: set[str], metric: str, code: str) -> None:
        if name not in names:
            self._out.error(
                code,
                f"'{metric}' needs the dimension '{name}', which the query does not select",
                "select.dimensions",
                hint=f"Add '{name}' to the dimensions.",
                context={"metric": metric, "dimension": name},
            )


def _qualified(nodes: tuple[FilterNode, ...], name: str, model: ResolvedModel) -> tuple[FilterNode, ...]:
    """The predicates of a policy, whose fields may name the columns of its object alone."""
    columns = model.objects[name].columns
    found: list[FilterNode] = []
    for node in nodes:
        if isinstance(node, FilterGroup):
            found.append(replace(node, filters=_qualified(node.filters, name, model)))
        else:
            found.append(replace(node, field=f"{name}.{node.field}") if node.field in columns else node)
    return tuple(found)
