"""Texts that are sent to be rendered: our own SQL around the dataset's template; pure.

Our part is made by sqlglot in the database's dialect, with values as literals, and is protected from Jinja; the
template's part goes in as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from sagitta_server.reviews.environment import CompilationError
from sagitta_server.reviews.json_text import Json
from sagitta_server.reviews.superset.datasets import Payload
from sagitta_server.reviews.superset.inputs import Inputs, QueryFilter
from sagitta_server.reviews.template_variables import has_template_marks

PROBE_ALIAS = "rv_probe"
_PROBE_START = "SELECT * FROM (\n"
_PROBE_END = f"\n) AS {PROBE_ALIAS} WHERE 1 = 0"
_SPECIAL = re.compile(r"\{[{%#\r]|\r")
"""What Jinja does not leave as it is: its marks, and carriage returns, which it turns into line feeds."""
_RETURN_IN_LITERAL = re.compile(r"'[^']*\r[^']*'")
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_SLOT = "rv_slot_"
_UNTYPED_TIMES = frozenset({"sqlite", "mysql", "doris", "starrocks", "hive", None})
"""Dialects in which a time is compared with a text as it stands."""
_COMPARISONS: Mapping[str, type[exp.Binary]] = {
    "==": exp.EQ,
    "!=": exp.NEQ,
    ">": exp.GT,
    ">=": exp.GTE,
    "<": exp.LT,
    "<=": exp.LTE,
    "LIKE": exp.Like,
    "ILIKE": exp.ILike,
}


def escaped(text: str) -> str:
    """A text that Jinja renders to `text`."""
    return _SPECIAL.sub(lambda found: "{{ '" + found.group().replace("\r", "\\r") + "' }}", text)


def unrendered(text: str) -> str:
    """A text that SQL Lab, which renders whatever it gets, leaves as it is; a plain one stays plain."""
    if _RETURN_IN_LITERAL.search(text):
        return escaped(text)
    if not has_template_marks(text):
        return text
    return escaped(text) if "endraw" in text else f"{{% raw %}}{text}{{% endraw %}}"


def probe(text: str) -> str:
    """A query that renders and checks a text without returning a row."""
    return f"{_PROBE_START}{_bare(text)}{_PROBE_END}"


def probed(executed: str, dialect: str | None) -> str:
    """The text inside an executed probe.

    Raises:
        CompilationError: it cannot be found there.
    """
    end = executed.rfind(_PROBE_END)
    if executed.startswith(_PROBE_START) and end > 0:
        return executed[len(_PROBE_START) : end].strip()
    try:
        tree = sqlglot.parse_one(executed, read=dialect)
    except SqlglotError as error:
        raise CompilationError("compilation_failed", "What Superset made of the probe cannot be read.") from error
    inner = next((s for s in tree.find_all(exp.Subquery) if s.alias_or_name.lower() == PROBE_ALIAS), None)
    if inner is None:
        raise CompilationError("compilation_failed", "What Superset made of the probe cannot be read.")
    return str(inner.this.sql(dialect=dialect, pretty=True))


def dataset_text(payload: Payload, columns: Iterable[str], inputs: Inputs, row_limit: int) -> str:
    """The dataset's rows under the inputs, as a template.

    `inputs.time_range` must be fixed. Filters on names that are no columns only feed the template.

    Raises:
        CompilationError: a filter's operator cannot be written.
    """
    names = tuple(columns)
    slots = _Slots(_prefix_for(inputs))
    computed = {name: slots.hold(f"({text}\n)") for name, text in payload.expressions}

    def column(name: str) -> exp.Expr:
        return exp.column(computed[name]) if name in computed else exp.column(_identifier(name, payload.dialect))

    query = exp.select(*(exp.alias_(column(n), _identifier(n, payload.dialect)) for n in names))
    query = query.from_(_source(payload, slots))
    for item in inputs.filters:
        if item.column in names:
            query = query.where(_condition(column(item.column), item, payload.dialect))
    for text in inputs.conditions:
        query = query.where(exp.column(slots.hold(f"({text}\n)")))
    if inputs.time_range is not None and inputs.time_column in names:
        item = QueryFilter(str(inputs.time_column), "TEMPORAL_RANGE", inputs.time_range)
        query = query.where(_condition(column(item.column), item, payload.dialect))
    return slots.fill(escaped(query.limit(row_limit).sql(dialect=payload.dialect, pretty=True)))


class _Slots:
    """Names that stand for templates until everything else is written."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._held: list[str] = []

    def hold(self, text: str) -> str:
        self._held.append(text)
        return f"{self._prefix}{len(self._held) - 1}"

    def fill(self, written: str) -> str:
        slot = re.compile(rf"{re.escape(self._prefix)}(\d+)")
        return slot.sub(lambda found: self._held[int(found.group(1))], written)


def _prefix_for(inputs: Inputs) -> str:
    """A prefix that no value holds."""
    prefix, said = _SLOT, str(inputs)
    while prefix in said:
        prefix += "x_"
    return prefix


def _source(payload: Payload, slots: _Slots) -> exp.Table:
    if payload.sql is None:
        parts = [None if p is None else _identifier(p, payload.dialect) for p in (payload.schema, payload.catalog)]
        return exp.Table(this=_identifier(payload.table, payload.dialect), db=parts[0], catalog=parts[1])
    slot = slots.hold(f"(\n{_bare(payload.sql)}\n)")
    return exp.Table(this=exp.to_identifier(slot), alias=exp.TableAlias(this=exp.to_identifier("virtual_table")))


def _bare(sql: str) -> str:
    """The text without the semicolon at its end."""
    return sql.strip().rstrip(";").rstrip()


def _identifier(name: str, dialect: str | None) -> exp.Identifier:
    """Quoted unless it is a plain lower-case word: what SQLAlchemy does, so that both find the same column."""
    return exp.to_identifier(name, quoted=not _is_plain(name, dialect))


def _is_plain(name: str, dialect: str | None) -> bool:
    if not _PLAIN_NAME.fullmatch(name):
        return False
    tokens = sqlglot.tokenize(name, read=dialect)
    return len(tokens) == 1 and tokens[0].token_type is TokenType.VAR


def _condition(column: exp.Expr, item: QueryFilter, dialect: str | None) -> exp.Expr:
    match item.operator:
        case "IN" | "NOT IN":
            return _membership(column, item)
        case "TEMPORAL_RANGE":
            return _between(column, str(item.value), dialect)
        case "IS NULL":
            return column.is_(exp.null())
        case "IS NOT NULL":
            return exp.not_(column.is_(exp.null()))
        case "IS TRUE":
            return exp.EQ(this=column, expression=exp.true())
        case "IS FALSE":
            return exp.EQ(this=column, expression=exp.false())
        case operator if operator in _COMPARISONS:
            return _COMPARISONS[operator](this=column, expression=_literal(item.value))
        case operator:
            raise CompilationError("compilation_failed", f"A filter with the operator {operator} cannot be written.")


def _membership(column: exp.Expr, item: QueryFilter) -> exp.Expr:
    values = item.value if isinstance(item.value, list) else [item.value]
    known = [_literal(v) for v in values if v is not None]
    parts: list[exp.Expr] = [exp.In(this=column, expressions=known)] if known else []
    if any(v is None for v in values):
        parts.append(column.copy().is_(exp.null()))
    found = exp.or_(*parts)
    return exp.not_(found) if item.operator == "NOT IN" else found


def _between(column: exp.Expr, time_range: str, dialect: str | None) -> exp.Expr:
    start, _, end = (part.strip() for part in time_range.partition(" : "))
    parts: list[exp.Expr] = []
    if start:
        parts.append(exp.GTE(this=column, expression=_time(start, dialect)))
    if end:
        parts.append(exp.LT(this=column.copy(), expression=_time(end, dialect)))
    return exp.and_(*parts)


def _time(text: str, dialect: str | None) -> exp.Expr:
    literal = exp.Literal.string(text.replace("T", " "))
    return literal if dialect in _UNTYPED_TIMES else exp.cast(literal, "TIMESTAMP")


def _literal(value: Json) -> exp.Expr:
    match value:
        case bool():
            return exp.true() if value else exp.false()
        case str():
            return exp.Literal.string(value)
        case None:
            return exp.null()
        case list() | dict():
            raise CompilationError("compilation_failed", "A filter's value is neither a text nor a number.")
        case number:
            return exp.Literal.number(str(number))
