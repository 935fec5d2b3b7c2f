"""Dimensions, measures and synthesised row counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.expressions.parse import Place, parse_expression
from sagitta_compiler.model.document import (
    DimensionDocument,
    FilterContextDocument,
    GrainDocument,
    MeasureDocument,
    NamedColumn,
    SemiAdditiveDocument,
    WithinGroupDocument,
)
from sagitta_compiler.model.resolved import (
    About,
    ColumnRef,
    Dimension,
    Expression,
    FilterContext,
    Grain,
    Measure,
    SemiAdditive,
    WithinGroup,
    column_refs,
)
from sagitta_compiler.model.scope import Scope, about
from sagitta_compiler.model.types import AbstractType, Aggregation, DataType, GrainMode, parse_data_type
from sagitta_compiler.query.document import ColumnReference, FilterDocument
from sagitta_compiler.query.filters import FilterReader, filter_leaves
from sagitta_compiler.query.query import FilterNode
from sagitta_compiler.source import Path

TWO_COLUMN = frozenset(
    {
        Aggregation.CORR,
        Aggregation.COVAR_POP,
        Aggregation.COVAR_SAMP,
        Aggregation.REGR_SLOPE,
        Aggregation.REGR_INTERCEPT,
    }
)
_MANY_COLUMNS = frozenset({Aggregation.COUNT, Aggregation.COUNT_DISTINCT})
_PLACEHOLDER = "{object}"


def resolve_dimensions(scope: Scope) -> dict[str, Dimension]:
    """Returns the dimensions; references that do not exist are reported."""
    return {name.strip(): _dimension(scope, name, item) for name, item in scope.document.dimensions.items()}


def _dimension(scope: Scope, name: str, document: DimensionDocument) -> Dimension:
    path: Path = ("dimensions", name)
    ref = ColumnRef(document.data_object.strip(), document.column.strip())
    scope.check_column(ref, (*path, "column"), object_path=(*path, "dataObject"))
    via = document.via.strip() if document.via else None
    if via is not None:
        scope.check_object(via, (*path, "via"))
    return Dimension(
        name=name.strip(),
        object=ref.object,
        column=ref.column,
        result_type=document.result_type,
        time_grain=document.time_grain,
        via=via,
        format=document.format,
        about=about(document),
    )


def resolve_measures(scope: Scope) -> dict[str, Measure]:
    """Returns the declared measures."""
    return {name.strip(): _Measure(scope, name, item).resolve() for name, item in scope.document.measures.items()}


class _Measure:
    """Resolves one measure."""

    def __init__(self, scope: Scope, name: str, document: MeasureDocument) -> None:
        self._scope, self._name, self._document = scope, name, document
        self._path: Path = ("measures", name)

    def resolve(self) -> Measure:
        document = self._document
        for message, hint in _misuse(document):
            self._error("MEASURE_PARSE_ERROR", message, self._path, hint)
        columns, count_of = self._columns()
        expression = self._expression()
        if columns and document.expression is not None and document.aggregation not in TWO_COLUMN:
            message = "A measure has 'columns' or an 'expression'; the expression is aggregated"
            self._scope.report.warning("MEASURE_PARSE_ERROR", message, (*self._path, "columns"), "Remove one of them.")
            columns = ()
        return Measure(
            name=self._name.strip(),
            aggregation=document.aggregation,
            columns=columns,
            expression=expression,
            count_of=count_of,
            result_type=document.result_type,
            distinct=document.distinct,
            grain=self._grain(document.grain),
            filter_context=self._filter_context(document.filter_context),
            filters=read_filters(self._scope, document.filters, (*self._path, "filters")),
            allow_fan_out=document.allow_fan_out,
            default_value=document.default_value,
            delimiter=document.delimiter,
            within_group=self._within_group(document.within_group, columns),
            percentile=0.5
            if document.aggregation is Aggregation.PERCENTILE and document.percentile is None
            else document.percentile,
            percentile_discrete=document.percentile_type == "discrete",
            semi_additive=self._semi_additive(document.semi_additive),
            over=self._over(document.over, expression),
            data_type=data_type(self._scope, document.data_type, "MEASURE_PARSE_ERROR", (*self._path, "dataType")),
            anchor=self._anchor(document.anchor),
            total=document.total,
            format=document.format,
            about=about(document),
        )

    def _error(self, code: str, message: str, path: Path, hint: str) -> None:
        self._scope.report.error(code, message, path, hint)

    def _columns(self) -> tuple[tuple[ColumnRef, ...], str | None]:
        """Returns the arguments, and the object whose rows are counted when a reference names no column."""
        refs: list[ColumnRef] = []
        count_of: str | None = None
        for at, reference in enumerate(self._document.columns):
            path: Path = (*self._path, "columns", at)
            ref = self._column(reference, path)
            if ref is not None:
                refs.append(ref)
            elif reference.data_object and not reference.column:
                count_of = self._row_count(reference.data_object.strip(), path)
        return tuple(refs), count_of

    def _column(self, reference: ColumnReference, path: Path) -> ColumnRef | None:
        if reference.data_object and reference.column:
            ref = ColumnRef(reference.data_object.strip(), reference.column.strip())
            self._scope.check_column(ref, path, object_path=path)
            return ref
        counts_rows = (
            self._document.aggregation is Aggregation.COUNT
            and reference.data_object
            and len(self._document.columns) == 1
        )
        if not counts_rows:
            missing = "column" if reference.data_object else "dataObject"
            hint = "Write `{dataObject: ..., column: ...}`."
            self._error("INCOMPLETE_COLUMN_REF", f"The column reference has no '{missing}'", path, hint)
        return None

    def _row_count(self, name: str, path: Path) -> str | None:
        return name if self._scope.check_object(name, path) else None

    def _expression(self) -> Expression | None:
        text = self._document.expression
        if text is None:
            return None
        parsed = parse_expression(text, Place.MEASURE)
        for problem in parsed.problems:
            self._error(problem.code, problem.message, (*self._path, "expression"), problem.hint or "")
        return parsed.expression

    def _grain(self, document: GrainDocument | None) -> Grain | None:
        if self._document.total:
            return Grain(GrainMode.FIXED)
        if document is None:
            return None
        path: Path = (*self._path, "grain")
        if document.mode is GrainMode.FIXED and document.exclude:
            message = "A FIXED grain starts from no dimension: there is nothing to exclude"
            self._error("MEASURE_PARSE_ERROR", message, path, "Use `keepOnly` or `include`, or `mode: RELATIVE`.")
        names = [tuple(n.strip() for n in part) for part in (document.exclude, document.include, document.keep_only)]
        for name in {name for part in names for name in part}:
            self._scope.check_dimension(name, path, "UNKNOWN_GRAIN_DIMENSION")
        return Grain(document.mode, *names)

    def _filter_context(self, document: FilterContextDocument | None) -> FilterContext | None:
        if document is None:
            return None
        path: Path = (*self._path, "filterContext")
        if document.mode is GrainMode.FIXED and document.exclude:
            message = "A FIXED filter context starts from no filter: there is nothing to exclude"
            self._error("MEASURE_PARSE_ERROR", message, path, "Use `keepOnly` or `include`, or `mode: RELATIVE`.")
        exclude, keep_only = (tuple(n.strip() for n in part) for part in (document.exclude, document.keep_only))
        for name in (*exclude, *keep_only):
            check_field(self._scope, name, path, "UNKNOWN_FILTER_CONTEXT_FIELD")
        include = read_filters(self._scope, document.include, (*path, "include"), "UNKNOWN_FILTER_CONTEXT_FIELD")
        return FilterContext(document.mode, exclude, keep_only, include)

    def _within_group(self, document: WithinGroupDocument | None, columns: tuple[ColumnRef, ...]) -> WithinGroup | None:
        if document is None:
            return None
        path: Path = (*self._path, "withinGroup")
        ref = self._column(document.column, path)
        if ref is None:
            return None
        if self._document.distinct and ref not in columns:
            message = "With `distinct`, a listagg can only be ordered by its own column"
            hint = "Order by the aggregated column, or remove `distinct`."
            self._error("WITHIN_GROUP_NOT_IN_DISTINCT_ARGS", message, path, hint)
        return WithinGroup(ref, document.order)

    def _semi_additive(self, document: SemiAdditiveDocument | None) -> SemiAdditive | None:
        if document is None:
            return None
        path: Path = (*self._path, "semiAdditive")
        time = self._named_column(document.time_dimension, (*path, "timeDimension"))
        per = [self._named_column(item, (*path, "per", at)) for at, item in enumerate(document.per)]
        if time is None:
            return None
        return SemiAdditive(time, document.function, tuple(ref for ref in per if ref is not None))

    def _named_column(self, document: NamedColumn, path: Path) -> ColumnRef | None:
        if document.dimension is not None:
            name = document.dimension.strip()
            if not self._scope.check_dimension(name, path, "UNKNOWN_DIMENSION"):
                return None
            declared = next((d for n, d in self._scope.document.dimensions.items() if n.strip() == name), None)
            return None if declared is None else ColumnRef(declared.data_object.strip(), declared.column.strip())
        return self._column(
            ColumnReference.model_validate({"dataObject": document.data_object, "column": document.column}), path
        )

    def _over(self, over: tuple[str, ...], expression: Expression | None) -> tuple[str, ...]:
        path: Path = (*self._path, "over")
        names = tuple(name.strip() for name in over)
        for name in names:
            self._scope.check_dimension(name, path, "UNKNOWN_GRAIN_DIMENSION")
        if names and expression is not None and not expression.measures:
            message = "`over` belongs to a nested aggregation: the expression names no measure"
            self._error("MEASURE_PARSE_ERROR", message, path, "Write `expression: '{[Measure]}'`.")
        return names

    def _anchor(self, anchor: str | None) -> str | None:
        if anchor is None:
            return None
        if not self._scope.has_object(anchor.strip()):
            path = (*self._path, "anchor")
            self._scope.report.unknown(
                "INVALID_ANCHOR_DATA_OBJECT", "Data object", anchor.strip(), self._scope.objects, path
            )
        return anchor.strip()


def _misuse(document: MeasureDocument) -> Iterator[tuple[str, str]]:
    """Yields what a measure combines that has no meaning: message and hint."""
    aggregation, columns, expression = document.aggregation, document.columns, document.expression
    if document.total and document.grain is not None:
        yield "'total' and 'grain' exclude each other", "`total: true` is `grain: {mode: FIXED}`; keep one."
    if aggregation in TWO_COLUMN and (len(columns) != 2 or expression is not None):
        yield f"'{aggregation}' takes exactly two columns", "List the two columns, in their order."
    elif aggregation is Aggregation.MEASURE:
        given = [
            key for key in ("columns", "expression", "filters", "total", "default_value") if getattr(document, key)
        ]
        if given:
            yield f"'measure' is defined in the warehouse and takes no '{given[0]}'", "Remove it."
    elif not columns and expression is None and aggregation is not Aggregation.COUNT:
        yield f"'{aggregation}' needs something to aggregate", "Add `columns:` or `expression:`."
    elif len(columns) > 1 and aggregation not in _MANY_COLUMNS and aggregation not in TWO_COLUMN:
        yield f"'{aggregation}' takes one column, not {len(columns)}", "Use an expression to combine columns."
    if document.within_group is not None and aggregation is not Aggregation.LISTAGG:
        yield "'withinGroup' belongs to 'listagg'", "Remove it."
    if document.percentile is not None and aggregation is not Aggregation.PERCENTILE:
        yield "'percentile' belongs to `aggregation: percentile`", "Change the aggregation, or remove it."
    if document.percentile_type not in (None, "continuous", "discrete"):
        yield f"'{document.percentile_type}' is not a percentile type", "Use `continuous` or `discrete`."


def read_filters(
    scope: Scope, documents: tuple[FilterDocument, ...], path: Path, unknown_field: str | None = None
) -> tuple[FilterNode, ...]:
    """Reads the filters of a measure and checks that their fields exist."""

    def report(diagnostic: Diagnostic, where: Path) -> None:
        scope.report.add(diagnostic, where)

    reader = FilterReader(
        report,
        operator_code="INVALID_MEASURE_FILTER_OPERATOR",
        value_code="INVALID_MEASURE_FILTER",
        shape_code="INVALID_MEASURE_FILTER",
    )
    return check_filter_fields(scope, reader, documents, path, unknown_field)


def check_filter_fields(
    scope: Scope,
    reader: FilterReader,
    documents: tuple[FilterDocument, ...],
    path: Path,
    unknown_field: str | None = None,
) -> tuple[FilterNode, ...]:
    """Reads filters with a reader and reports fields that do not exist."""
    nodes: list[FilterNode] = []
    for at, document in enumerate(documents):
        node = reader.read(document, (*path, at))
        if node is not None:
            nodes.append(node)
            for leaf in filter_leaves((node,)):
                check_field(scope, leaf.field, (*path, at), unknown_field)
    return tuple(nodes)


def check_field(scope: Scope, name: str, path: Path, code: str | None = None) -> None:
    """Reports a field that is neither a dimension nor a column.

    Without a code the object and the column have theirs (`UNKNOWN_FILTER_DATA_OBJECT`, `UNKNOWN_FILTER_COLUMN`).
    """
    if scope.has_dimension(name) or any(scope.has_column(ref) for ref in column_refs(name)):
        return
    data_object, _, column = (part.strip() for part in name.partition("."))
    if code is not None or not column:
        known = [*scope.dimension_names, *(f"{data_object}.{label}" for label in scope.columns(data_object))]
        scope.report.unknown(code or "UNKNOWN_FILTER_COLUMN", "Field", name, known, path)
        return
    codes = ("UNKNOWN_FILTER_DATA_OBJECT", "UNKNOWN_FILTER_COLUMN")
    scope.check_column(ColumnRef(data_object, column), path, object_path=path, codes=codes)


def data_type(scope: Scope, text: str | None, code: str, path: Path) -> DataType | None:
    """Reads a declared result type."""
    if text is None:
        return None
    found = parse_data_type(text)
    if found is None:
        hint = "Use decimal(p, s), bigint, integer, double, date, timestamp, time, string or boolean."
        scope.report.error(code, f"'{text}' is not a data type", path, hint)
    return found


def synthesise_counts(scope: Scope, is_nested: Callable[[str], bool]) -> dict[str, Measure]:
    """Returns the row counts that the model exposes without declaring them; a declared measure of that name wins."""
    pattern = scope.document.count_label_pattern
    if _PLACEHOLDER not in pattern or re.search(r"[{}]", pattern.replace(_PLACEHOLDER, "")):
        hint = "Write `{object} Count`; `{object}` is the only placeholder."
        message = f"'{pattern}' is not a pattern for count names"
        scope.report.error("INVALID_COUNT_LABEL_PATTERN", message, ("countLabelPattern",), hint)
        return {}
    if not scope.document.expose_counts:
        return {}
    counts: dict[str, Measure] = {}
    declared = {name.strip() for name in scope.document.measures}
    for name, document in scope.objects.items():
        label = (document.count_label or pattern.replace(_PLACEHOLDER, name)).strip()
        if not document.countable or is_nested(name) or label in declared:
            continue
        if label in counts:
            _same_count(scope, label, name, counts[label].count_of or "")
        counts[label] = _count(label, name)
    return counts


def _same_count(scope: Scope, label: str, name: str, other: str) -> None:
    scope.report.error(
        "DUPLICATE_IDENTIFIER",
        f"The row counts of '{other}' and '{name}' are both named '{label}'",
        ("dataObjects", name),
        "Give one of them another `countLabel`, or `countable: false`.",
    )


def _count(label: str, name: str) -> Measure:
    return Measure(
        name=label,
        aggregation=Aggregation.COUNT,
        count_of=name,
        result_type=AbstractType.INT,
        data_type=DataType("integer"),
        synthesised=True,
        about=About(description=f"Row count of {name}"),
    )
