"""Which expressions a client may have evaluated.

Functions that read files, the environment or other databases hide among the unknown ones, so only functions that
sqlglot knows and a few harmless names pass.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from sagitta_compiler.query.semantic_sql.reading import refused

_HARMLESS = frozenset(
    {
        "date_part", "isodow", "isoyear", "yearweek", "ntile", "percent_rank", "cume_dist", "ifnull", "nvl", "sign",
        "degrees", "radians", "pi", "trunc", "truncate", "mod", "cot", "sinh", "cosh", "tanh", "monthname", "dayname",
        "last_day", "strip_accents", "ltrim", "rtrim", "printf", "format",
    }
)  # fmt: skip
_FORBIDDEN = (
    exp.UDTF,
    exp.ReadCSV,
    exp.ReadParquet,
    exp.DDL,
    exp.DML,
    exp.Command,
    exp.SessionParameter,
    exp.Parameter,
)


def check_allowed(tree: exp.Expr, *, deep: bool = True) -> None:
    """Raises `CompileError` for a function that is not known to be harmless."""
    for node in tree.walk() if deep else (tree,):
        if isinstance(node, _FORBIDDEN):
            raise refused("UNSUPPORTED_SQL_FEATURE", f"{type(node).__name__} is not possible here.")
        if isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count | exp.Select | exp.Column):
            raise refused("UNSUPPORTED_SQL_FEATURE", "A star stands alone in the select list, or in COUNT(*).")
        if isinstance(node, exp.Anonymous) and str(node.this).lower() not in _HARMLESS:
            raise refused("UNSUPPORTED_SQL_FEATURE", f"There is no function {node.this}.", function=str(node.this))


def check_tables(tree: exp.Expr, answers: Iterable[str]) -> None:
    """Raises `CompileError` when SQL around the answers of models reads anything but those.

    The last guard: whatever path a statement took, no table of the warehouse is reached by its name.
    """
    known = {name.casefold() for name in answers} | {cte.alias.casefold() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or table.db or table.name.casefold() not in known:
            raise refused(
                "RAW_SQL_REJECTED",
                f"{table.sql(dialect='duckdb')} cannot be read: only the tables of models can be queried.",
                "Select the labels that you need from the model.",
            )
