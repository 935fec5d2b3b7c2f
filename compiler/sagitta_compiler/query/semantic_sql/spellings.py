"""Functions of other SQL dialects, written as the one that the translation knows.

Tools write the SQL of the product that they take the server for: `TO_CHAR` of PostgreSQL and Oracle, `DATEADD` and
`IIF` of SQL Server, `DATE_PART` of Redshift. A format is translated with the function; the unknown is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.time import format_time

_DATE_LETTERS = frozenset("YMDHSQWyd")


def respell(tree: exp.Expr) -> exp.Expr:
    """Returns a tree in which known spellings of other dialects are replaced; changes the given one."""
    for node in list(tree.walk()):
        found = _respelled(node)
        if found is None:
            continue
        if node is tree:
            tree = found
        else:
            node.replace(found)
    return tree


def _respelled(node: exp.Expr) -> exp.Expr | None:
    match node:
        case exp.In() if isinstance(node.this, exp.Tuple) and node.expressions:
            return _rows(node)
        case exp.ToChar() if (pattern := _format(node.args.get("format"))) is not None:
            return exp.TimeToStr(this=node.this.copy(), format=pattern)
        case exp.UnixToTime() if (pattern := _format(node.args.get("scale"))) is not None:
            return exp.StrToTime(this=node.this.copy(), format=pattern)
        case exp.Anonymous() if (write := _BY_NAME.get(str(node.this).upper())) is not None:
            return write([argument.copy() for argument in node.expressions])
        case _:
            return None


def _rows(node: exp.In) -> exp.Expr | None:
    """`(a, b) IN ((1, 2), (3, 4))` as equalities: engines differ in what a NULL inside a row means."""
    columns, choices = node.this.expressions, list[exp.Expr]()
    for row in node.expressions:
        values = row.expressions if isinstance(row, exp.Tuple) else []
        if len(values) != len(columns):
            return None
        pairs = zip(columns, values, strict=True)
        choices.append(exp.and_(*(exp.EQ(this=c.copy(), expression=v.copy()) for c, v in pairs), copy=False))
    return exp.paren(exp.or_(*choices, copy=False), copy=False)


def _format(node: exp.Expr | None) -> exp.Literal | None:
    """A format of PostgreSQL as one of strftime; None for one that is not of a date."""
    if (
        not isinstance(node, exp.Literal)
        or not node.is_string
        or "9" in node.name
        or not _DATE_LETTERS & set(node.name)
    ):
        return None
    written = format_time(node.name, Postgres.TIME_MAPPING, Postgres.TIME_TRIE)
    return exp.Literal.string(written) if written else None


def _unit(node: exp.Expr) -> str | None:
    return node.name.lower() if isinstance(node, exp.Literal | exp.Column | exp.Var | exp.Identifier) else None


def _date_part(arguments: list[exp.Expr]) -> exp.Expr | None:
    if len(arguments) != 2 or (unit := _unit(arguments[0])) is None:
        return None
    return exp.Extract(this=exp.var(unit.upper()), expression=arguments[1])


def _date_add(arguments: list[exp.Expr]) -> exp.Expr | None:
    """`DATEADD(month, 3, d)`: SQL Server, Snowflake, Redshift."""
    if len(arguments) != 3 or (unit := _unit(arguments[0])) is None:
        return None
    return exp.Add(this=arguments[2], expression=exp.Interval(this=arguments[1], unit=exp.var(unit.upper())))


def _to_date(arguments: list[exp.Expr]) -> exp.Expr | None:
    if len(arguments) == 1:
        return exp.cast(arguments[0], "date")
    pattern = _format(arguments[1]) if len(arguments) == 2 else None
    return exp.cast(exp.StrToTime(this=arguments[0], format=pattern), "date") if pattern is not None else None


def _if(arguments: list[exp.Expr]) -> exp.Expr | None:
    if len(arguments) != 3:
        return None
    condition, true, false = arguments
    return exp.Case(ifs=[exp.If(this=condition, true=true)], default=false)


_BY_NAME: dict[str, Callable[[list[exp.Expr]], exp.Expr | None]] = {
    "DATE_PART": _date_part,
    "DATEPART": _date_part,
    "DATEADD": _date_add,
    "TO_DATE": _to_date,
    "IIF": _if,
}
