"""What a compiled text is: one read-only statement, free of template marks."""

from __future__ import annotations

import re
from functools import lru_cache

import sqlglot
from jinja2 import Environment, TemplateSyntaxError, meta
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sagitta_server.reviews.template_variables import has_template_marks

_READ_ONLY = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values, exp.Table)
_FORBIDDEN = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Command,
    exp.Into,
    exp.Copy,
    exp.Set,
    exp.Use,
    exp.Pragma,
    exp.Attach,
    exp.Detach,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
    exp.Grant,
)
_STRINGS = re.compile(r"'(?:[^']|'')*'")


@lru_cache(maxsize=2048)
def is_read_only(sql: str, dialect: str | None) -> bool:
    """The text is exactly one SELECT, WITH or UNION statement and nothing in it writes."""
    try:
        statements = [s for s in sqlglot.parse(sql, read=_known(dialect)) if s is not None]
    except SqlglotError:
        return _looks_read_only(sql)
    if len(statements) != 1 or not isinstance(statements[0], _READ_ONLY):
        return False
    return not any(isinstance(node, _FORBIDDEN) for node in statements[0].walk())


def normalized(sql: str, dialect: str | None) -> str:
    """The text without comments, layout and outer LIMIT, for comparing what ran with what was shown."""
    try:
        tree = sqlglot.parse_one(sql, read=_known(dialect))
    except SqlglotError:
        return " ".join(sql.split())
    if isinstance(tree, exp.Query):
        tree = _without_limit(tree)
    return tree.sql(dialect=_known(dialect), comments=False)


def readable(sql: str, dialect: str | None) -> str:
    """The text broken into lines for people; unchanged where that would change more than its layout."""
    try:
        laid_out = sqlglot.parse_one(sql, read=_known(dialect)).sql(dialect=_known(dialect), pretty=True)
    except SqlglotError:
        return sql
    return laid_out if "".join(laid_out.split()) == "".join(sql.split()) else sql


@lru_cache(maxsize=2048)
def template_marks_block(sql: str) -> bool:
    """The text holds template marks that could not be sent as plain text: outside literals, or reading free names."""
    if not has_template_marks(sql):
        return False
    if is_unrendered(sql):
        return True
    return any(_reads_names(literal) for literal in _STRINGS.findall(sql) if has_template_marks(literal))


def is_unrendered(sql: str) -> bool:
    """The text holds template marks outside its string literals: something was not rendered."""
    return has_template_marks(_STRINGS.sub("''", sql))


def _reads_names(text: str) -> bool:
    try:
        tree = Environment(autoescape=False).parse(text)  # noqa: S701 - read, never rendered
    except (TemplateSyntaxError, RecursionError):
        return True
    return bool(meta.find_undeclared_variables(tree))


def _without_limit(tree: exp.Query) -> exp.Query:
    bare = tree.copy()
    bare.set("limit", None)
    return bare


def _looks_read_only(sql: str) -> bool:
    try:
        tokens = sqlglot.tokenize(sql)
    except SqlglotError:
        return False
    if not tokens or tokens[0].text.upper() not in {"SELECT", "WITH", "("}:
        return False
    return not any(token.text == ";" for token in tokens[:-1])


def _known(dialect: str | None) -> str | None:
    return dialect if dialect and dialect in sqlglot.Dialect.classes else None
