"""One SELECT on one table of a model."""

from __future__ import annotations

from sqlglot import exp

from sagitta_compiler.query.semantic_sql.catalog import ColumnKind, TableKind
from sagitta_compiler.query.semantic_sql.clauses import (
    TranslatedSelect,
    annotate,
    projections_of,
    refuse_clauses,
    refuse_sub_selects,
)
from sagitta_compiler.query.semantic_sql.groups import GroupedSelect
from sagitta_compiler.query.semantic_sql.literals import Values
from sagitta_compiler.query.semantic_sql.names import Names
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.rows import RowsSelect
from sagitta_compiler.query.semantic_sql.workspace import items


def translate_select(select: exp.Select, names: Names, values: Values, alias: str) -> TranslatedSelect:
    """Translates a SELECT whose FROM is one table of a model.

    Raises:
        CompileError: it cannot mean anything on a model; the diagnostic says what to write instead.
    """
    refuse_clauses(select)
    refuse_sub_selects(select)
    if not select.expressions:
        raise refused("EMPTY_SELECT", "The statement selects nothing.", "Select at least one label.")
    tree = select.copy()
    projections = projections_of(tree, names)
    annotate(tree, projections, names)
    fields = [item for _, p in projections for item in items(p) if item.kind is ColumnKind.FIELD]
    if fields or names.table.kind is TableKind.OBJECT:
        return RowsSelect(tree, projections, names, values, alias).translate()
    return GroupedSelect(tree, projections, names, values, alias).translate()
