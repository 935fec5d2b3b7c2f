"""Sagitta's compiler: text in, values out. Pure: no I/O, no clock, no Arrow, no database.

The stages, each a plain function from frozen values to frozen values:

    text -> ModelDocument -> ResolvedModel        Query -> BoundQuery -> Plan -> sqlglot Expression -> CompiledQuery
"""

from sagitta_compiler.compile import compile_query
from sagitta_compiler.context import CompileContext
from sagitta_compiler.diagnostics import CompileError, Diagnostic, Diagnostics, Severity, Span
from sagitta_compiler.model.load import LoadedModel, load_model
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.query.parse import read_query
from sagitta_compiler.query.query import Query
from sagitta_compiler.query.write import query_to_dict
from sagitta_compiler.sql.result import CompiledQuery

__all__ = [
    "CompileContext",
    "CompileError",
    "CompiledQuery",
    "Diagnostic",
    "Diagnostics",
    "LoadedModel",
    "Query",
    "ResolvedModel",
    "Severity",
    "Span",
    "compile_query",
    "load_model",
    "query_to_dict",
    "read_query",
]
