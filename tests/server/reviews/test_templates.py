"""Template variables: found by Jinja's parser, mapped from filters, transformed and judged."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagitta_server.reviews.enums import (
    FilterConfidenceState,
    FilterRecoveryStatus,
    FilterSource,
    MappingMethod,
    VariableKind,
)
from sagitta_server.reviews.json_text import NULL, dump
from sagitta_server.reviews.mappings import check_manual_value, fresh_mapping, manual_value, transform
from sagitta_server.reviews.sql_safety import is_read_only, normalized, readable, template_marks_block
from sagitta_server.reviews.template_variables import discover
from sagitta_server.reviews.values import Filter, TemplateText, Variable

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be busy."""

FIXTURE = """
SELECT * FROM orders WHERE 1 = 1
{% if filter_values('country') %} AND country IN {{ filter_values('country') | where_in }} {% endif %}
AND status = '{{ url_param('status', 'paid') }}'
{% if from_dttm %} AND ts >= '{{ from_dttm }}' {% endif %}{% if to_dttm %} AND ts < '{{ to_dttm }}' {% endif %}
AND amount >= {{ min_amount }} {# {{ comment }} #} {% raw %}{{ raw }}{% endraw %}
"""


def found(text, given=frozenset()):
    return {v.name: v for v in discover([TemplateText("sql", text)], frozenset(given)).variables}


def test_the_fixture_has_its_five_variables():
    variables = found(FIXTURE, {"min_amount"})
    assert {n: (v.kind, v.is_required) for n, v in variables.items()} == {
        "country": ("native_filter", False),
        "status": ("parameter", False),
        "from_dttm": ("derived", False),
        "to_dttm": ("derived", False),
        "min_amount": ("parameter", False),
    }
    assert (variables["status"].default_value, variables["min_amount"].shape) == ('"paid"', "number")
    assert found(FIXTURE)["min_amount"].is_required


@pytest.mark.parametrize(
    ("text", "name", "required"),
    [
        ("{{ x }}", "x", True),
        ("{{ x | default(1) }}", "x", False),
        ("{{ x }}{{ x | default(1) }}", "x", True),
        ("{% if x %}{{ x }}{% endif %}", "x", False),
        ("{{ 1 if x is defined else 2 }}", "x", False),
        ("{{ filter_values('x') | where_in }}", "x", True),
        ("{% for v in filter_values('x') %}{{ v }}{% endfor %}", "x", False),
        ("{% set v = filter_values('x') %}{% if v %}{{ v | where_in }}{% endif %}", "x", False),
        ("{% set v = filter_values('x') %}{{ v | where_in }}", "x", True),
        ("{{ url_param('x') }}", "x", True),
        ("{{ get_time_filter('x') }}", "x", True),
        ("{{ from_dttm }}", "from_dttm", True),
    ],
)
def test_what_makes_a_name_required(text, name, required):
    assert found(text)[name].is_required is required


@pytest.mark.parametrize(
    "text",
    [
        "{% set x = 1 %}{{ x }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}",
        "{% for x in [1] %}{{ x }}{{ loop.index }}{% endfor %}",
        "{{ current_username() }}",
        "{{ dataset(1) }}",
        "no template",
    ],
)
def test_names_that_are_no_variables(text):
    assert found(text) == {}


def test_what_cannot_be_read_is_told_with_its_line():
    broken = discover([TemplateText("sql", "a\n{{ x ")])
    assert [i.code for i in broken.issues] == ["TEMPLATE_SYNTAX_ERROR"]
    assert "line 2" in broken.issues[0].message
    dynamic = discover([TemplateText("sql", "{{ filter_values(column) }}")])
    assert [i.code for i in dynamic.issues] == ["TEMPLATE_DYNAMIC_REFERENCE"]
    assert [v.kind for v in dynamic.variables if v.name.startswith("<")] == ["unknown"]
    assert discover([TemplateText("sql", "{{ " + "(" * 5000 + "x")]).issues


@PATIENT
@given(st.text(max_size=60))
def test_no_text_breaks_the_search(text):
    discover([TemplateText("sql", "{{" + text)])


def variable(shape="scalar", kind=VariableKind.PARAMETER, **changes):
    return Variable("v", "x", "sql:1", kind, True, shape=shape, **changes)


def given_filter(value, operator="=="):
    return Filter(
        "f",
        "x",
        dump(value),
        FilterSource.MANUAL,
        FilterConfidenceState.CONFIRMED,
        FilterRecoveryStatus.RECOVERED,
        dump(value),
        operator=operator,
    )


@pytest.mark.parametrize(
    ("value", "operator", "wanted", "result", "warning"),
    [
        (["a", "b"], "IN", variable("list", VariableKind.NATIVE_FILTER), '["a","b"]', None),
        ("a", "==", variable("list", VariableKind.NATIVE_FILTER), '["a"]', None),
        ("a", "==", variable(), '"a"', None),
        (["a"], "IN", variable(), '"a"', "low"),
        (["a", "b"], "IN", variable(), '"a"', "high"),
        (["a"], "NOT IN", variable("list", VariableKind.NATIVE_FILTER), '["a"]', "high"),
        (["a"], "NOT IN", variable("list", VariableKind.NATIVE_FILTER, keeps_operator=True), '["a"]', None),
        ("12", "==", variable("number"), "12", "low"),
        ([], "IN", variable(), NULL, None),
        (None, "==", variable(), NULL, None),
        ("a'b", "==", variable(is_escaped=False), '"a\'b"', "high"),
        (
            "2024-01-01 : 2024-02-01",
            "TEMPORAL_RANGE",
            Variable("v", "from_dttm", "s", VariableKind.DERIVED, True, shape="time"),
            '"2024-01-01"',
            None,
        ),
    ],
)
def test_values_are_brought_into_shape(value, operator, wanted, result, warning):
    changed = transform(given_filter(value, operator), wanted)
    assert (changed.value, changed.warning) == (result, warning)


@pytest.mark.parametrize("text", ["abc", "1e400x", "0x10", "1,5"])
def test_text_that_is_no_number_is_invalid(text):
    assert transform(given_filter(text), variable("number")).is_invalid


def test_every_warning_needs_approval():
    exact = fresh_mapping(variable(), given_filter("a"), MappingMethod.DIRECT_MATCH, "m")
    alike = fresh_mapping(variable(), given_filter("a"), MappingMethod.SEMANTIC_MATCH, "m")
    assert (exact.approval_state, exact.requires_explicit_approval) == ("not_required", False)
    assert (alike.approval_state, alike.requires_explicit_approval, alike.warning_level) == ("pending", True, "high")


def test_manual_values_are_checked_against_the_shape():
    assert check_manual_value(variable("list"), ["a", None])
    assert check_manual_value(variable("list"), list(range(1001)))
    assert check_manual_value(variable("number"), "x")
    assert check_manual_value(variable(), {"a": 1})
    assert check_manual_value(variable(), "x" * 70_000)
    assert check_manual_value(variable("time", VariableKind.DERIVED), "yesterday")
    assert manual_value(variable("list"), "a") == '["a"]'
    assert manual_value(variable("number"), "0.10") == "0.10"


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT 1", True), ("WITH a AS (SELECT 1) SELECT * FROM a", True), ("SELECT 1 UNION ALL SELECT 2", True),
        ("SELECT 1; DROP TABLE x", False), ("DROP TABLE x", False), ("INSERT INTO x SELECT 1", False), ("", False),
        ("WITH a AS (DELETE FROM x RETURNING *) SELECT * FROM a", False), ("COPY x TO 'y'", False), ("PRAGMA x", False),
    ],
)  # fmt: skip
def test_only_one_reading_statement_passes(sql, reads):
    assert is_read_only(sql, "postgres") is reads


def test_template_marks_block_unless_they_are_plain_text():
    assert not template_marks_block("SELECT '{{ 1+1 }}'")
    assert template_marks_block("SELECT '{{ x }}'")
    assert template_marks_block("SELECT {{ 1 }}")
    assert normalized("select 1 -- x\n limit 5", "duckdb") == normalized("SELECT 1", "duckdb")


def test_sql_is_laid_out_for_people_without_changing_a_character_that_counts():
    assert readable('SELECT "a" AS "A" FROM "t" WHERE "a" = \'x  y\'', "duckdb").splitlines()[0] == "SELECT"
    assert readable("select 1", "duckdb") == "select 1"
    assert readable("not sql at all (", "duckdb") == "not sql at all ("
