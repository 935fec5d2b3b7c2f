"""Expressions: what is a reference, what is refused, and how the portable functions are used."""

from __future__ import annotations

import pytest
from sagitta_compiler.expressions.catalogue import CATALOGUE
from sagitta_compiler.expressions.check import check_functions
from sagitta_compiler.expressions.parse import Place, parse_expression
from sagitta_compiler.model.resolved import ColumnRef
from sqlglot import exp


def parsed(text: str, place: Place = Place.COLUMN) -> exp.Expression:
    found = parse_expression(text, place, "Home")
    assert found.expression is not None, found.problems
    return found.expression.tree


def code(text: str, place: Place = Place.COLUMN) -> str:
    found = parse_expression(text, place, "Home")
    assert found.expression is None, f"{text} was read"
    assert all(problem.hint for problem in found.problems)
    return found.problems[0].code


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("{A}", '"Home"."A"'),
        ("{ A b }", '"Home"."A b"'),
        ("{[Other].[A]} * 2", '"Other"."A" * 2'),
        ("{[ Other ] . [ A ]}", '"Other"."A"'),
        ("{[Measure]}", '"Measure"'),
        ("{A} || '{B} [C] it''s'", "\"Home\".\"A\" || '{B} [C] it''s'"),
        ("regexp_matches({A}, 'x{2,4}')", 'REGEXP_MATCHES("Home"."A", \'x{2,4}\')'),
        ("1 + 2 * 3", "1 + 2 * 3"),
        ("({A} + 1) % 2", '("Home"."A" + 1) % 2'),
        ("-{A}", '-"Home"."A"'),
        ("{A} <> 1 AND NOT {B} IS NULL", '"Home"."A" <> 1 AND NOT "Home"."B" IS NULL'),
        ("{A} IS DISTINCT FROM {B}", '"Home"."A" IS DISTINCT FROM "Home"."B"'),
        ("{A} NOT IN (1, 2)", 'NOT "Home"."A" IN (1, 2)'),
        ("CASE {A} WHEN 1 THEN 'x' ELSE 'y' END", "CASE \"Home\".\"A\" WHEN 1 THEN 'x' ELSE 'y' END"),
        ("CAST({A} AS decimal(10, 2))", 'CAST("Home"."A" AS DECIMAL(10, 2))'),
        ("DATE '2024-01-31'", "CAST('2024-01-31' AS DATE)"),
        ("{A} -- a remark", '"Home"."A"'),
        ("{A} /* a remark */ + 1", '"Home"."A" + 1'),
    ],
)
def test_an_expression_is_read(text: str, sql: str) -> None:
    assert parsed(text).sql() == sql


@pytest.mark.parametrize(
    "text",
    [
        "{X",
        "X}",
        "[X]",
        "{[X}",
        "{[X]",
        "{[A].B}",
        "{A.[B]}",
        "{[A],[B]}",
        "{[A][B]}",
        "{[]}",
        "{}",
        "{[A].[]}",
        "{[A]]}",
        "amount",
        '"amount"',
    ],
)
def test_what_is_nearly_a_reference_is_refused(text: str) -> None:
    assert code(text) == "MALFORMED_EXPRESSION_REF"


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "(", "{A} {B}", "{A}; DROP TABLE t", "SELECT 1", "(SELECT 1)", "{A} IN (SELECT 1)", "*"),
        *("COUNT(*)", "SUM({A}) OVER (PARTITION BY {B})", "EXISTS (SELECT 1)", "?", ":x", "@x", "{A}.b", "'open"),
        *("CASE WHEN", "{A} +", "(" * 80 + "1" + ")" * 80, "NOT " * 90 + "{A}", "+".join(["1"] * 900), "\ue0000"),
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    assert code(text) == "INVALID_EXPRESSION"


def test_only_columns_know_siblings_and_only_metrics_refuse_columns() -> None:
    assert code("{A}", Place.MEASURE) == "MALFORMED_EXPRESSION_REF"
    assert code("{A}", Place.METRIC) == "MALFORMED_EXPRESSION_REF"
    assert code("{[A].[B]}", Place.METRIC) == "MALFORMED_EXPRESSION_REF"
    assert parsed("{[A].[B]} + {[M]}", Place.MEASURE).sql() == '"A"."B" + "M"'


def test_references_are_listed_once_in_their_order() -> None:
    found = parse_expression("{[B].[x]} + {[A].[y]} + {[B].[x]} + {[M]}", Place.MEASURE).expression

    assert found is not None
    assert found.columns == (ColumnRef("B", "x"), ColumnRef("A", "y"))
    assert found.measures == ("M",)


@pytest.mark.parametrize("text", ["ROUND({A}, 1)", "round({A}, 1)", "Round({A}, 1)"])
def test_a_portable_function_is_known_in_any_case(text: str) -> None:
    call = parsed(text)

    assert isinstance(call, exp.Anonymous)
    assert call.name == "round"


@pytest.mark.parametrize(
    "text", ["DateDiff('day', {A}, {B})", "IFNULL({A}, 0)", "left({A}, 2)", "If({A}, 1, 2)", "Date({A})"]
)
def test_another_function_is_kept_as_it_is_written(text: str) -> None:
    """No dialect's reading of a name creeps in: the warehouse gets the author's call."""
    call = parsed(text)

    assert isinstance(call, exp.Anonymous)
    assert call.name == text.split("(", maxsplit=1)[0]


def test_both_forms_of_extract_are_one() -> None:
    assert parsed("EXTRACT(year FROM {A})").sql() == parsed("extract('year', {A})").sql()


def test_the_catalogue_has_its_39_functions() -> None:
    assert len(CATALOGUE) == 39
    assert all(function.meaning for function in CATALOGUE.values())


def findings(text: str, *, portable: bool = False) -> list[str]:
    return [found.code for found in check_functions(parsed(text), portable=portable)]


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_arguments_are_counted(name: str) -> None:
    function = CATALOGUE[name]

    def call(count: int) -> str:
        given = ["{A}"] * count
        if function.unit is not None and count > function.unit:
            given[function.unit] = "'month'"
        if function.json_path is not None and count > function.json_path:
            given[function.json_path] = "'$.a'"
        return f"{name}({', '.join(given)})"

    for count in range(8):
        assert findings(call(count)) == ([] if function.accepts(count) else ["WRONG_FUNCTION_ARITY"]), call(count)


@pytest.mark.parametrize("unit", ["'fortnight'", "''", "{A}", "month", "1"])
def test_a_unit_is_a_quoted_literal(unit: str) -> None:
    if unit == "month":
        assert code(f"date_trunc({unit}, {{A}})") == "MALFORMED_EXPRESSION_REF"
    else:
        assert findings(f"date_trunc({unit}, {{A}})") == ["UNKNOWN_TIME_UNIT"]


@pytest.mark.parametrize(
    ("path", "sound"),
    [
        ("$", True),
        ("$.a", True),
        ("$.a[0].b_1", True),
        ("a", False),
        ("$..a", False),
        ("$.a[*]", False),
        ("$['a']", False),
        ("$.", False),
    ],
)
def test_a_json_path_has_simple_steps(path: str, sound: bool) -> None:
    quoted = path.replace("'", "''")
    assert findings(f"json_value({{A}}, '{quoted}')") == ([] if sound else ["INVALID_JSON_PATH"])


def test_an_unknown_function_is_a_warning_or_an_error() -> None:
    permissive, strict = (next(check_functions(parsed("rond({A})"), portable=p)) for p in (False, True))

    assert not permissive.is_error
    assert strict.is_error
    assert "round" in strict.suggestions
