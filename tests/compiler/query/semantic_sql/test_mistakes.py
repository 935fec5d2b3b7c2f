"""Mistakes of SQL are told in words of SQL, whatever the parser says about its own code."""

from __future__ import annotations

import pytest
from sagitta_compiler import CompileError
from sagitta_compiler.query.semantic_sql.mistakes import in_words
from sagitta_compiler.query.semantic_sql.reading import parse

MISTAKES = {
    'SELECT "Revenue" FROM shop WHERE "Country" = \'DE\' AND': "AND is incomplete",
    'SELECT "Revenue" FROM shop WHERE NOT': "NOT is incomplete",
    'SELECT "Revenue" FROM shop WHERE "Country" =': "= is incomplete",
    'SELECT "Revenue" FROM shop ORDER BY': "ORDER BY is incomplete",
    'SELECT "Revenue" FROM (': "Expected table name but got the end",
    'SELECT "Revenue" FROM shop WHERE "Day" BETWEEN 1': "BETWEEN is incomplete",
    'SELECT CAST("Revenue" AS) FROM shop': "Expected TYPE after CAST",
}


@pytest.mark.parametrize(("sql", "told"), MISTAKES.items())
def test_a_mistake_is_told_in_words_of_sql(sql: str, told: str) -> None:
    with pytest.raises(CompileError) as caught:
        parse(sql)
    (mistake,) = caught.value.diagnostics
    assert mistake.code == "SQL_SYNTAX_ERROR"
    assert mistake.message.startswith(f"The statement is not valid SQL: {told} at line 1, column ")


def test_no_class_of_the_parser_is_named() -> None:
    assert in_words("Expected a <class 'sqlglot.x.Y'> here") == "Expected a something else here"
    assert in_words("got <Token token_type: TokenType.VAR, text: a>b, line: 1, col: 1>") == "got 'a>b'"
    assert in_words("Invalid expression / Unexpected token") == "Invalid expression / Unexpected token"
