"""Expressions of the model language: SQL with references in braces, parsed by sqlglot.

Every function call becomes `exp.Anonymous` (catalogued ones by their lower-case name, others as written), so that no
dialect's reading of a name creeps in: `sql` lowers the catalogued ones and passes the others through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.expressions.catalogue import CATALOGUE
from sagitta_compiler.model.resolved import ColumnRef, Expression


class Place(Enum):
    """Where an expression stands; it decides which references have a meaning."""

    COLUMN = auto()
    MEASURE = auto()
    METRIC = auto()


@dataclass(frozen=True, slots=True)
class Parsed:
    """An expression, or the reasons why there is none (without paths)."""

    expression: Expression | None
    problems: tuple[Diagnostic, ...] = ()


MAX_EXPRESSION = 20_000
MAX_EXPRESSION_DEPTH = 60
MAX_TREE_DEPTH = 250
_MAX_NEAR = 40
_MARK = "\ue000"
_CALL = "\ue001"
_TOKENS = re.compile(
    r"""(?P<text>'(?:[^']|'')*')
      | \{\s*\[(?P<object>[^\[\]{}]*)\]\s*\.\s*\[(?P<column>[^\[\]{}]*)\]\s*\}
      | \{\s*\[(?P<name>[^\[\]{}]*)\]\s*\}
      | \{(?P<sibling>[^\[\]{}]*)\}
      | (?P<stray>[\[\]{}])""",
    re.VERBOSE,
)
_NOT_CALLS = frozenset(
    [
        *("CAST", "TRY_CAST", "CASE", "WHEN", "THEN", "ELSE", "END", "AND", "OR", "NOT", "IN", "BETWEEN", "LIKE"),
        *("ILIKE", "IS", "AS", "ESCAPE", "INTERVAL", "FROM", "SELECT", "EXISTS"),
    ]
)
_ALLOWED: tuple[type[exp.Expression], ...] = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Null,
    exp.Boolean,
    exp.Paren,
    exp.Neg,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Div,
    exp.Mod,
    exp.DPipe,
    exp.EQ,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Is,
    exp.In,
    exp.Between,
    exp.Like,
    exp.ILike,
    exp.Escape,
    exp.And,
    exp.Or,
    exp.Not,
    exp.Case,
    exp.If,
    exp.Cast,
    exp.TryCast,
    exp.DataType,
    exp.DataTypeParam,
    exp.Anonymous,
    exp.Interval,
    exp.Var,
    exp.AtTimeZone,
    exp.Tuple,
)
_DIALECT = Dialect.get_or_raise("")

_SHAPES = {
    Place.COLUMN: "`{Column}` for a column of the same data object, `{[Data Object].[Column]}` for another one's",
    Place.MEASURE: "`{[Data Object].[Column]}` for a column, `{[Measure]}` for a measure",
    Place.METRIC: "`{[Measure]}` for a measure or a metric",
}


class _UnreadableError(Exception):
    """An expression that cannot be read; carries code, message and hint."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        self.diagnostic = Diagnostic(code, message, hint=hint)
        super().__init__(message)


def parse_expression(text: str, place: Place, home: str | None = None) -> Parsed:
    """Parses an expression; `home` is the data object of a computed column.

    Whether the names exist and the functions are used well is checked later, when the model is known.
    """
    try:
        sql, references = _replace_references(text, place, home)
        tree = _bind(_parse(sql, references, place), references, place)
    except _UnreadableError as reason:
        return Parsed(None, (reason.diagnostic,))
    columns = tuple(dict.fromkeys(r for r in references if isinstance(r, ColumnRef)))
    measures = tuple(dict.fromkeys(r for r in references if isinstance(r, str)))
    return Parsed(Expression(text, tree, columns, measures))


def calls(tree: exp.Expression) -> Iterator[exp.Anonymous]:
    """Yields every function call of an expression."""
    yield from tree.find_all(exp.Anonymous)


def _malformed(text: str, place: Place) -> _UnreadableError:
    return _UnreadableError("MALFORMED_EXPRESSION_REF", f"'{text}' is not a reference", f"Write {_SHAPES[place]}.")


def _invalid(message: str, place: Place) -> _UnreadableError:
    code = "INVALID_METRIC_EXPRESSION" if place is Place.METRIC else "INVALID_EXPRESSION"
    return _UnreadableError(code, message, "Use operators, CASE, CAST and function calls over references in braces.")


def _replace_references(text: str, place: Place, home: str | None) -> tuple[str, list[ColumnRef | str]]:
    """Replaces each reference by a quoted marker; returns the SQL and what the markers stand for."""
    if len(text) > MAX_EXPRESSION:
        raise _invalid(f"The expression has {len(text):,} characters; at most {MAX_EXPRESSION:,} are read", place)
    if _MARK in text or _CALL in text or "\0" in text:
        raise _invalid("The expression holds a character that it must not", place)
    references: list[ColumnRef | str] = []

    def replace(match: re.Match[str]) -> str:
        if match["text"] is not None:
            return match[0]
        references.append(_reference(match, text, place, home))
        return f' "{_MARK}{len(references) - 1}" '

    return _TOKENS.sub(replace, text), references


def _reference(match: re.Match[str], text: str, place: Place, home: str | None) -> ColumnRef | str:
    match match.lastgroup:
        case "column" if place is not Place.METRIC and match["object"].strip() and match["column"].strip():
            return ColumnRef(match["object"].strip(), match["column"].strip())
        case "name" if match["name"].strip():
            return match["name"].strip()
        case "sibling" if place is Place.COLUMN and home is not None and match["sibling"].strip():
            return ColumnRef(home, match["sibling"].strip())
        case "column" if place is Place.METRIC:
            raise _UnreadableError(
                "MALFORMED_EXPRESSION_REF",
                f"'{match[0]}' is a column, and a metric's formula is made of measures",
                "Put the column into a measure and name the measure here.",
            )
        case "stray":
            start = max(match.start() - 1, 0)
            raise _malformed(text[start : start + 40], place)
        case _:
            raise _malformed(match[0], place)


def _parse(sql: str, references: list[ColumnRef | str], place: Place) -> exp.Expression:
    try:
        tokens = _DIALECT.tokenize(sql)
        if not tokens:
            raise _invalid("The expression is empty", place)
        _limit_depth(tokens, place)
        statements = _DIALECT.parser().parse(_mark_calls(tokens), sql)
    except SqlglotError as error:
        raise _invalid(f"The expression cannot be read{_near(error, references)}", place) from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Expression):
        raise _invalid("The expression must be exactly one expression", place)
    if len(tokens) > MAX_TREE_DEPTH and _depth(statements[0]) > MAX_TREE_DEPTH:
        raise _invalid(f"The expression chains more than {MAX_TREE_DEPTH} operators", place)
    return statements[0]


def _depth(tree: exp.Expression) -> int:
    """Returns the height of a tree, without recursion."""
    level, height = [tree], 0
    while level:
        level = [child for node in level for child in node.iter_expressions()]
        height += 1
    return height


def _limit_depth(tokens: list[Token], place: Place) -> None:
    """Keeps the parser, which recurses, away from texts that are made to exhaust it."""
    depth = 0
    nesting = {TokenType.L_PAREN: 1, TokenType.CASE: 1, TokenType.R_PAREN: -1, TokenType.END: -1}
    prefixes = 0
    for token in tokens:
        depth += nesting.get(token.token_type, 0)
        prefixes = prefixes + 1 if token.token_type in (TokenType.NOT, TokenType.DASH) else 0
        if depth > MAX_EXPRESSION_DEPTH or prefixes > MAX_EXPRESSION_DEPTH:
            raise _invalid(f"The expression is nested more than {MAX_EXPRESSION_DEPTH} levels deep", place)


def _near(error: SqlglotError, references: list[ColumnRef | str]) -> str:
    """Returns the words for the place at which the parser stopped."""
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    text = f"{details.get('start_context') or ''}{details.get('highlight') or ''}".replace(_CALL, "")
    text = re.sub(rf'\s*"{_MARK}(\d+)"\s*', lambda match: _written(references[int(match[1])]), text).strip()
    return f" after '{'…' if len(text) > _MAX_NEAR else ''}{text[-_MAX_NEAR:]}'" if text else ""


def _written(reference: ColumnRef | str) -> str:
    return (
        f"{{[{reference.object}].[{reference.column}]}}" if isinstance(reference, ColumnRef) else f"{{[{reference}]}}"
    )


def _mark_calls(tokens: list[Token]) -> list[Token]:
    """Renames the functions so that the parser takes each call for an unknown one and keeps it as written."""
    marked: list[Token] = []
    for at, token in enumerate(tokens):
        following = tokens[at + 1].token_type if at + 1 < len(tokens) else None
        if following is TokenType.L_PAREN and _names_a_call(tokens, at):
            marked.append(Token(TokenType.VAR, _CALL + token.text, token.line, token.col, token.start, token.end))
        else:
            marked.append(token)
    return marked


def _names_a_call(tokens: list[Token], at: int) -> bool:
    word = tokens[at].text
    if not re.fullmatch(r"[A-Za-z_]\w*", word) or word.upper() in _NOT_CALLS:
        return False
    if tokens[at].token_type in (TokenType.STRING, TokenType.IDENTIFIER):
        return False
    if at and tokens[at - 1].token_type in (TokenType.ALIAS, TokenType.DCOLON):
        return False
    return not (word.upper() == "EXTRACT" and at + 3 < len(tokens) and tokens[at + 3].token_type is TokenType.FROM)


def _bind(tree: exp.Expression, references: list[ColumnRef | str], place: Place) -> exp.Expression:
    """Puts the references in the place of their markers and refuses what is no expression."""

    def replace(node: exp.Expression) -> exp.Expression:
        node.comments = None
        match node:
            case exp.Column():
                return _bound_column(node, references, place)
            case exp.Anonymous():
                node.set("this", _function_name(node.name))
            case exp.CurrentDate():
                return exp.Anonymous(this="current_date", expressions=[])
        return node

    if isinstance(tree, exp.Extract):
        tree = _extract_call(tree)
    for extract in list(tree.find_all(exp.Extract)):
        extract.replace(_extract_call(extract))
    bound = tree.transform(replace, copy=False)
    for node in bound.walk():
        if not isinstance(node, _ALLOWED):
            what = "A sub-select" if isinstance(node, exp.Query) else f"'{_shown(node)}'"
            raise _invalid(f"{what} has no place in an expression", place)
        if isinstance(node, exp.In) and not node.expressions:
            raise _invalid("IN takes a list of values", place)
    return bound


def _extract_call(node: exp.Extract) -> exp.Anonymous:
    return exp.Anonymous(this="extract", expressions=[exp.Literal.string(node.name.lower()), node.expression])


def _bound_column(node: exp.Column, references: list[ColumnRef | str], place: Place) -> exp.Expression:
    if len(node.parts) == 1 and node.name.startswith(_MARK):
        match references[int(node.name.removeprefix(_MARK))]:
            case ColumnRef(table, column):
                return exp.column(exp.to_identifier(column, quoted=True), table=exp.to_identifier(table, quoted=True))
            case name:
                return exp.column(exp.to_identifier(name, quoted=True))
    if any(part.name.startswith(_MARK) for part in node.parts):
        raise _invalid("A reference must not be joined with a dot", place)
    raise _malformed(".".join(part.name for part in node.parts), place)


def _function_name(name: str) -> str:
    name = name.removeprefix(_CALL)
    return name.lower() if name.lower() in CATALOGUE else name


def _shown(node: exp.Expr) -> str:
    return re.sub(rf"{_MARK}\d+", "reference", node.sql()).replace(_CALL, "")[:60]
