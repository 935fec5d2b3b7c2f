"""Spans of compilations; a plan that was kept is not compiled and has none."""

from __future__ import annotations

from sagitta_compiler import CompileContext, CompiledQuery, CompileError, Query, ResolvedModel

from sagitta_server.observability.tracing.provider import Tracing, fail
from sagitta_server.queries.service import Compiler


def traced_compiler(tracing: Tracing, compiler: Compiler) -> Compiler:
    """The compiler with a span for each of its calls."""

    def compiled(model: ResolvedModel, query: Query, context: CompileContext) -> CompiledQuery:
        about = {"sagitta.model": model.name, "sagitta.dialect": context.dialect}
        with tracing.tracer.start_as_current_span(
            "compile", attributes=about, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                result = compiler(model, query, context)
            except CompileError as error:
                codes = [diagnostic.code for diagnostic in error.diagnostics if diagnostic.is_error]
                span.set_attribute("sagitta.diagnostics", codes)
                fail(span, codes[0] if codes else type(error).__name__)
                raise
            except Exception as error:
                fail(span, type(error).__name__)
                raise
            span.set_attribute("sagitta.planner", result.explain.planner)
            return result

    return compiled
