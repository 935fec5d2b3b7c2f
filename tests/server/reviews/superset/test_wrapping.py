"""Our own SQL around a template: literals stay literals, and nothing of ours is rendered."""

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from sagitta_server.reviews.environment import CompilationError
from sagitta_server.reviews.superset.datasets import DIALECTS, Payload
from sagitta_server.reviews.superset.inputs import Inputs, QueryFilter
from sagitta_server.reviews.superset.wrapping import dataset_text, escaped, probe, probed, unrendered
from sqlglot import exp

marks = st.text(alphabet="{}%#'\" abcx1+\n\r-", max_size=40)


@given(marks)
def test_an_escaped_text_renders_to_itself(text):
    rendered = Environment(keep_trailing_newline=True).from_string(escaped(text)).render(x="!", abc="!")
    assert rendered == text


@given(marks)
def test_what_is_sent_to_be_run_renders_to_itself(text):
    sql = f"SELECT '{text.replace(chr(39), chr(39) * 2)}'"
    assert Environment(keep_trailing_newline=True).from_string(unrendered(sql)).render() == sql


@pytest.mark.parametrize(
    "text", ["{% endraw %}{{ 6 * 7 }}", "{% raw %}{{ 6 * 7 }}{% endraw %}", "{%- endraw -%}{{ 42 }}"]
)
def test_nobody_gets_out_of_the_raw_block(text):
    assert Environment().from_string(unrendered(text)).render() == text


PAYLOAD = Payload(1, "postgresql", 2, sql="SELECT a, b FROM t WHERE x >= {{ floor }} -- all;\n;")


def text_of(inputs, payload=PAYLOAD, columns=("a", "Order Day", "select")):
    return dataset_text(payload, columns, inputs, 10)


def test_the_template_stands_inside_as_it_is():
    text = text_of(Inputs())
    assert "FROM (\nSELECT a, b FROM t WHERE x >= {{ floor }} -- all;\n) AS virtual_table" in text
    assert '"Order Day"' in text
    assert '"select"' in text
    assert text.rstrip().endswith("LIMIT 10")


@given(st.text(max_size=30), st.text(alphabet="{}%#'; -", max_size=20))
def test_a_value_is_one_literal_whatever_it_holds(left, right):
    value = f"{left}{right}"
    if "\x00" in value:
        return
    inputs = Inputs(filters=(QueryFilter("a", "IN", [value]),))
    text = text_of(inputs, Payload(1, "duckdb", 2, sql="SELECT a FROM t"), ("a",))
    rendered = Environment(keep_trailing_newline=True).from_string(text).render()
    (tree,) = sqlglot.parse(rendered, read="duckdb")
    assert [node.this for node in tree.find_all(exp.Literal) if node.is_string] == [value]


def test_filters_times_conditions_and_computed_columns_are_written_in_the_dialect():
    inputs = Inputs(
        filters=(
            QueryFilter("a", "IN", ["x", None]),
            QueryFilter("a", "IS NOT NULL", None),
            QueryFilter("c", ">=", 5),
            QueryFilter("nobody", "IN", ["fed to the template only"]),
        ),
        conditions=("a > {{ floor }} OR b IS NULL",),
        time_column="day",
        time_range="2024-01-01T00:00:00 : 2024-02-01T00:00:00",
    )
    payload = Payload(1, "postgresql", 2, sql="SELECT 1", expressions=(("c", "a * {{ factor }}"),))
    text = " ".join(text_of(inputs, payload, ("a", "c", "day")).split())
    for part in (
        "(a * {{ factor }} ) AS c",
        "a IN ('x') OR a IS NULL",
        "NOT a IS NULL",
        "(a * {{ factor }} ) >= 5",
        "(a > {{ floor }} OR b IS NULL )",
        "day >= CAST('2024-01-01 00:00:00' AS TIMESTAMP)",
        "day < CAST('2024-02-01 00:00:00' AS TIMESTAMP)",
    ):
        assert part in text, text
    assert "nobody" not in text


def test_a_value_that_looks_like_a_place_of_ours_is_a_value():
    text = text_of(Inputs(filters=(QueryFilter("a", "==", "rv_slot_0"),)))
    assert "a = 'rv_slot_0'" in text


@pytest.mark.parametrize("backend", sorted(DIALECTS))
def test_every_known_backend_has_a_dialect_that_can_write(backend):
    text = text_of(Inputs(filters=(QueryFilter("a", "IN", ["x"]),)), Payload(1, backend, 2, sql="SELECT a FROM t"))
    assert "'x'" in text
    assert "10" in text


def test_a_table_is_read_by_its_place():
    text = text_of(Inputs(), Payload(1, "postgresql", 2, schema="Sales", table="orders"))
    assert 'FROM "Sales".orders' in " ".join(text.split())


def test_an_operator_that_cannot_be_written_is_refused():
    with pytest.raises(CompilationError, match="LATEST PARTITION"):
        text_of(Inputs(filters=(QueryFilter("a", "LATEST PARTITION", None),)))


def test_what_a_probe_made_is_found_as_text_or_as_a_tree():
    sent = probe("SELECT a FROM t -- end;")
    assert probed(f"{sent}\nLIMIT 2", "sqlite") == "SELECT a FROM t -- end"
    printed = "SELECT\n  *\nFROM (\n  SELECT\n    a\n  FROM t\n) AS rv_probe\nWHERE\n  1 = 0\nLIMIT 2"
    assert probed(printed, "sqlite") == "SELECT\n  a\nFROM t"
    with pytest.raises(CompilationError):
        probed("SELECT 1", "sqlite")
    with pytest.raises(CompilationError):
        probed("SELECT ((", "sqlite")
