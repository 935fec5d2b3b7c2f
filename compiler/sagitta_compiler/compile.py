"""The facade of the stages: a model and a query in, SQL and its explanation out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import ErrorLevel
from sqlglot.dialects.dialect import Dialect as Grammar

from sagitta_compiler.context import CompileContext
from sagitta_compiler.diagnostics import CompileError, Diagnostic, Diagnostics
from sagitta_compiler.model.resolved import NestedSource, ResolvedModel, TableSource
from sagitta_compiler.model.types import AbstractType
from sagitta_compiler.names import near
from sagitta_compiler.plan.build import Plan, build_plan
from sagitta_compiler.plan.explain import explain
from sagitta_compiler.query.bind import bind_query
from sagitta_compiler.query.bound import BoundQuery, LeafValue, NestedValue, inputs_of
from sagitta_compiler.query.query import Query
from sagitta_compiler.sql.dialects import DIALECTS, Dialect, UnsupportedError
from sagitta_compiler.sql.lower import lower
from sagitta_compiler.sql.result import CompiledQuery, OutputColumn, Role


def compile_query(model: ResolvedModel, query: Query, context: CompileContext | None = None) -> CompiledQuery:
    """Compiles a query for the context's dialect.

    Raises:
        CompileError: with every diagnostic of the run, when the query has no meaning in this model.
    """
    context = _with_local_clock(context or CompileContext(), model)
    out = Diagnostics()
    dialect = _dialect(context.dialect)
    bound = bind_query(model, query, context, out)
    if out.has_errors:
        raise CompileError(out)
    _check_aggregations(bound, dialect, out)
    plan = build_plan(model, bound, out, context, dialect.engine)
    if plan is None:
        raise CompileError(out)
    _warn_of_fallbacks(model, plan, dialect, out)
    return CompiledQuery(
        _render(plan, dialect, out),
        dialect.name,
        tuple(_columns(bound, plan)),
        explain(plan, bound),
        _physical_tables(model, plan),
        tuple(sorted({leg.home for leg in plan.legs})),
        _unique(out.warnings),
    )


def _with_local_clock(context: CompileContext, model: ResolvedModel) -> CompileContext:
    return context if context.now is None else replace(context, now=model.settings.local(context.now))


def _fallbacks(model: ResolvedModel, plan: Plan) -> Iterator[tuple[str, TableSource]]:
    """Yields the nested objects that the plan reads from their fallback tables, each with its table."""
    for name in sorted(plan.tables):
        source = model.objects[name].source
        if isinstance(source, NestedSource) and source.fallback is not None:
            yield name, source.fallback


def _warn_of_fallbacks(model: ResolvedModel, plan: Plan, dialect: Dialect, out: Diagnostics) -> None:
    for name, table in _fallbacks(model, plan):
        out.warning(
            "NESTED_SOURCE_FALLBACK",
            f"{dialect.name} cannot unnest arrays: '{name}' is read from '{table.qualified}'",
            "select",
            context={"dataObject": name, "table": table.qualified},
        )


def _unique(warnings: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    return tuple({(warning.code, warning.message): warning for warning in warnings}.values())


def _check_aggregations(query: BoundQuery, dialect: Dialect, out: Diagnostics) -> None:
    pending = list(query.values)
    while pending:
        value = pending.pop()
        pending.extend(inputs_of(value))
        if isinstance(value, LeafValue | NestedValue) and value.measure.aggregation in dialect.unsupported:
            aggregation = value.measure.aggregation.value
            out.error(
                "UNSUPPORTED_AGGREGATION",
                f"'{value.name}' is a {aggregation}, which {dialect.name} does not have",
                "select.measures",
                context={"measure": value.name, "aggregation": aggregation, "dialect": dialect.name},
            )


def _dialect(name: str) -> Dialect:
    found = DIALECTS.get(name)
    if found is None:
        out = Diagnostics()
        out.error(
            "UNSUPPORTED_DIALECT",
            f"Unsupported dialect: '{name}'",
            "dialect",
            hint=f"Use one of {', '.join(sorted(DIALECTS))}.",
            context={"dialect": name},
            suggestions=near(name, DIALECTS),
        )
        raise CompileError(out)
    return found


def _render(plan: Plan, dialect: Dialect, out: Diagnostics) -> str:
    try:
        return Grammar.get_or_raise(dialect.sqlglot).generate(
            lower(plan.select, dialect), copy=False, unsupported_level=ErrorLevel.IGNORE
        )
    except UnsupportedError as reason:
        out.error(reason.code, reason.message, "select", context={"dialect": dialect.name})
        raise CompileError(out) from reason


def _columns(query: BoundQuery, plan: Plan) -> Iterator[OutputColumn]:
    """The result columns in the order of the outermost select."""
    known = {
        dim.label: OutputColumn(dim.label, Role.DIMENSION, dim.source, dim.type, None, dim.format)
        for dim in query.dimensions
    }
    for measure in query.measures:
        known[measure.label] = OutputColumn(
            measure.label, measure.role, measure.source, None, measure.value.type, measure.format
        )
    for field in query.fields:
        known[field.label] = OutputColumn(field.label, Role.FIELD, str(field.member.ref), field.member.type)
    for output in plan.select.columns:
        yield known.get(output.label) or OutputColumn(output.label, Role.GROUPING, output.label, AbstractType.INT)


def _physical_tables(model: ResolvedModel, plan: Plan) -> tuple[str, ...]:
    sources = (model.objects[name].source for name in plan.tables)
    tables = {source.qualified for source in sources if isinstance(source, TableSource)}
    return tuple(sorted(tables | {table.qualified for _, table in _fallbacks(model, plan)}))
