"""SQL text to a sqlglot tree, in the union of what BI tools write."""

from __future__ import annotations

import re
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from sagitta_compiler.diagnostics import CompileError, Diagnostic
from sagitta_compiler.query.semantic_sql.mistakes import in_words
from sagitta_compiler.query.semantic_sql.spellings import respell

MAX_SQL_CHARACTERS = 1_000_000
MAX_NESTING = 100
"""Brackets and CASEs inside each other: the parser is compiled, and a text nested deeper would overflow its stack."""
NULLS = "nulls"
"""Key of `Expression.meta` of an ORDER BY key: "first", "last", or None where the text is silent."""


class NullsSmall(DuckDB):
    """Reads DuckDB's SQL; an ORDER BY key without NULLS reads as if NULLs were the smallest values."""

    NULL_ORDERING = "nulls_are_small"


class NullsLarge(DuckDB):
    """Reads DuckDB's SQL; an ORDER BY key without NULLS reads as if NULLs were the largest values."""

    NULL_ORDERING = "nulls_are_large"


class TopNullsSmall(NullsSmall):
    """Reads `SELECT TOP n` too; a dialect of its own, because it makes a word of SQL of what may be a name."""

    class Tokenizer(DuckDB.Tokenizer):
        """DuckDB's, and TOP."""

        KEYWORDS = {**DuckDB.Tokenizer.KEYWORDS, "TOP": TokenType.TOP}  # noqa: RUF012 - sqlglot's own way


class TopNullsLarge(TopNullsSmall):
    """As `TopNullsSmall`, with NULLs as the largest values."""

    NULL_ORDERING = "nulls_are_large"


def parse(sql: str) -> exp.Expr:
    """Returns the tree of the one statement in a text.

    Raises:
        CompileError: the text is too long or too deep, is not SQL, or holds no statement or several.
    """
    if len(sql) > MAX_SQL_CHARACTERS:
        raise refused("SQL_TOO_LONG", f"The statement is longer than {MAX_SQL_CHARACTERS:,} characters.")
    _limit_nesting(sql)
    sql = _numbered(_without_escapes(sql))
    small, large = (TopNullsSmall, TopNullsLarge) if _has_top(sql) else (NullsSmall, NullsLarge)
    statements = _read(sql, small)
    if len(statements) != 1:
        raise refused("UNSUPPORTED_SQL_FEATURE", f"Send one statement at a time; this text holds {len(statements)}.")
    tree = statements[0]
    _check_nesting(tree)
    _mark_nulls(tree, sql, large)
    return respell(tree)


_TOP = re.compile(r"\bSELECT\s+(?:DISTINCT\s+|ALL\s+)?TOP\s*\(?\s*\d", re.IGNORECASE)


def _has_top(sql: str) -> bool:
    """Whether a SELECT begins with TOP and a number, as SQL Server's do."""
    return _TOP.search(sql) is not None


_STEPS = {
    TokenType.L_PAREN: 1,
    TokenType.L_BRACKET: 1,
    TokenType.L_BRACE: 1,
    TokenType.CASE: 1,
    TokenType.R_PAREN: -1,
    TokenType.R_BRACKET: -1,
    TokenType.R_BRACE: -1,
    TokenType.END: -1,
}


def _limit_nesting(sql: str) -> None:
    """Refuses what is nested too deeply; only a text with many openings is looked at closely."""
    if sum(map(sql.count, "([{")) + sql.upper().count("CASE") <= MAX_NESTING:
        return
    depth = 0
    for token in _tokens(sql):
        depth = max(0, depth + _STEPS.get(token.token_type, 0))
        if depth > MAX_NESTING:
            raise refused("UNSUPPORTED_SQL_FEATURE", f"The statement is nested more than {MAX_NESTING} levels deep.")


MAX_NESTED_SELECTS = 50
MAX_DEPTH = 300
"""Levels of an expression, AND and OR not counted: reading a level costs time for all that lies below it."""


def _check_nesting(tree: exp.Expr) -> None:
    """Refuses what only a generator of hostile texts writes, before time is spent on it."""
    waiting = [(tree, 0, 0)]
    while waiting:
        node, depth, selects = waiting.pop()
        if depth > MAX_DEPTH or selects > MAX_NESTED_SELECTS:
            raise _too_deep()
        depth += not isinstance(node, exp.Connector)
        selects += isinstance(node, exp.Select)
        waiting.extend((child, depth, selects) for child in node.iter_expressions())


_ESCAPES = {"d": "DATE", "t": "TIME", "ts": "TIMESTAMP"}
"""JDBC and ODBC escapes of literals: `{d '2024-02-29'}`. Those of functions sqlglot reads by itself."""


def _without_escapes(sql: str) -> str:
    """Writes typed literals for the escapes that JDBC and ODBC tools send."""
    if "{" not in sql:
        return sql
    tokens = _tokens(sql)
    parts, end = list[str](), 0
    for brace, kind, literal, close in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False):
        word = _ESCAPES.get(kind.text.lower())
        if brace.text != "{" or close.text != "}" or word is None or literal.token_type is not TokenType.STRING:
            continue
        parts.extend((sql[end : brace.start], f"{word} {sql[literal.start : literal.end + 1]}"))
        end = close.end + 1
    return "".join((*parts, sql[end:]))


def _tokens(sql: str) -> list[Any]:
    try:
        return list(NullsSmall().tokenize(sql))
    except SqlglotError as error:
        raise refused("SQL_SYNTAX_ERROR", f"The statement is not valid SQL: {_first_line(error)}") from error


def _numbered(sql: str) -> str:
    """Writes `$1`, `$2`, ... for the anonymous parameters: a tree does not keep the order of the text."""
    if "?" not in sql:
        return sql
    tokens = [t for t in _tokens(sql) if t.token_type is TokenType.PLACEHOLDER and t.text == "?"]
    parts, end = list[str](), 0
    for number, token in enumerate(tokens, start=1):
        parts.extend((sql[end : token.start], f"${number}"))
        end = token.end + 1
    return "".join((*parts, sql[end:]))


def _read(sql: str, dialect: type[DuckDB]) -> list[exp.Expr]:
    try:
        return [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
    except RecursionError as error:
        raise _too_deep() from error
    except SqlglotError as error:
        if isinstance(error.__cause__ or error.__context__, RecursionError) or "recursion" in str(error):
            raise _too_deep() from error
        raise refused("SQL_SYNTAX_ERROR", f"The statement is not valid SQL: {_first_line(error)}") from error


def _too_deep() -> CompileError:
    return refused("UNSUPPORTED_SQL_FEATURE", "The statement is nested too deeply.")


def _first_line(error: Exception) -> str:
    details = getattr(error, "errors", None)
    if details:
        found = details[0]
        return f"{in_words(found['description'])} at line {found['line']}, column {found['col']}."
    return str(error).split("\n", 1)[0]


def _mark_nulls(tree: exp.Expr, sql: str, large: type[DuckDB]) -> None:
    """Notes on each ORDER BY key what the text itself says about NULLs: sqlglot fills in its own default."""
    keys = list(tree.find_all(exp.Ordered))
    if not keys:
        return
    if "nulls" not in sql.lower():
        for key in keys:
            key.meta[NULLS] = None
        return
    other = list(_read(sql, large)[0].find_all(exp.Ordered))
    for key, twin in zip(keys, other, strict=True):
        first, large_first = bool(key.args.get("nulls_first")), bool(twin.args.get("nulls_first"))
        key.meta[NULLS] = ("first" if first else "last") if first == large_first else None


def refused(code: str, message: str, hint: str | None = None, **context: object) -> CompileError:
    """Returns the error for a statement that cannot be answered."""
    suggestions = context.pop("suggestions", ())
    assert isinstance(suggestions, tuple)
    return CompileError([Diagnostic(code, message, "sql", hint=hint, context=context, suggestions=suggestions)])
