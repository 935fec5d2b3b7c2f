"""Reads the documents of a case and answers it naively."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oracle.database import as_rows
from oracle.evaluate import Result, evaluate
from oracle.queries import NOW, Case
from sagitta_compiler import CompileContext, load_model, read_query
from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.query.query import FilterNode, Query


class InvalidCaseError(Exception):
    """The model or the query of a case cannot be read, so the planner never sees it; `codes` say why."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        errors = [diagnostic for diagnostic in diagnostics if diagnostic.is_error]
        super().__init__("; ".join(f"[{d.code}] {d.path}: {d.message}" for d in errors))
        self.codes = tuple(dict.fromkeys(diagnostic.code for diagnostic in errors))


def read_case(case: Case) -> tuple[ResolvedModel, Query, CompileContext]:
    """Reads the documents of a case."""
    loaded = load_model(case.model)
    if loaded.model is None:
        raise InvalidCaseError(loaded.diagnostics)
    query, diagnostics = read_query(case.query)
    if query is None:
        raise InvalidCaseError(diagnostics)
    return loaded.model, query, CompileContext(dialect="duckdb", now=NOW, row_policies=read_policies(case.policies))


def read_policies(policies: Mapping[str, Any]) -> dict[str, tuple[FilterNode, ...]]:
    """Reads row policies, written as the WHERE of a query."""
    read = {}
    for name, conditions in policies.items():
        qualified = [{**condition, "field": f"{name}.{condition['field']}"} for condition in conditions]
        query, diagnostics = read_query({"select": {"dimensions": ["any"]}, "where": qualified})
        if query is None:
            raise InvalidCaseError(diagnostics)
        read[name] = query.where
    return read


def expected_of(case: Case) -> Result:
    """Returns the naive evaluator's answer."""
    model, query, context = read_case(case)
    return evaluate(model, query, as_rows(case.tables), context)
