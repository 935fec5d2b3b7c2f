from __future__ import annotations

import pytest
from rdflib import Graph
from sagitta_compiler.ontology import SparqlError, SparqlForm, parse_sparql, run_sparql

DATA = """
@prefix obsl: <https://ralforion.com/ns/obsl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
<x:a> a obsl:Measure ; rdfs:label "Revenue" ; obsl:owner "me" .
<x:b> a obsl:Measure ; rdfs:label "Cost" .
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph().parse(data=DATA, format="turtle")


def test_select_gives_every_variable_in_order_and_none_where_unbound(graph: Graph) -> None:
    text = """
        PREFIX obsl: <https://ralforion.com/ns/obsl#>
        PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
        SELECT ?label ?owner WHERE {?m a obsl:Measure ; rdfs:label ?label OPTIONAL {?m obsl:owner ?owner}}
        ORDER BY ?label"""
    result = run_sparql(graph, text, max_rows=10)
    assert result.form is SparqlForm.SELECT
    assert result.variables == ("label", "owner")
    assert result.rows == ({"label": "Cost", "owner": None}, {"label": "Revenue", "owner": "me"})
    assert not result.truncated


def test_ask_gives_a_boolean(graph: Graph) -> None:
    assert run_sparql(graph, "ASK {?m ?p 'Revenue'}", max_rows=1).boolean is True
    assert run_sparql(graph, "ASK {?m ?p 'revenue'}", max_rows=1).boolean is False


def test_a_star_names_variables_as_they_are_written(graph: Graph) -> None:
    assert run_sparql(graph, "SELECT * {?zebra ?ant ?mole}", max_rows=1).variables == ("zebra", "ant", "mole")


def test_a_row_without_a_value_is_still_a_row(graph: Graph) -> None:
    assert run_sparql(graph, "SELECT (1/0 AS ?y) {}", max_rows=1).rows == ({"y": None},)


def test_rows_are_capped(graph: Graph) -> None:
    capped = run_sparql(graph, "SELECT ?a {?a ?b ?c}", max_rows=4)
    assert (len(capped.rows), capped.truncated) == (4, True)
    assert not run_sparql(graph, "SELECT ?a {?a ?b ?c}", max_rows=5).truncated


@pytest.mark.parametrize(
    "text",
    [
        "ASK {?m ?p 'DROP the CREATE; INSERT, ADD # SERVICE'}",
        "SELECT ?service ?add {?service ?add ?drop}",
        "# DELETE WHERE\nASK {}",
    ],
)
def test_words_alone_are_innocent(graph: Graph, text: str) -> None:
    run_sparql(graph, text, max_rows=10)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("INSERT DATA {<x:a> <x:b> <x:c>}", "read-only"),
        ("DELETE WHERE {?a ?b ?c}", "read-only"),
        ("LOAD <http://example.org/>", "read-only"),
        ("CLEAR ALL", "read-only"),
        ("CONSTRUCT {?a ?b ?c} WHERE {?a ?b ?c}", "Only SELECT and ASK"),
        ("DESCRIBE <x:a>", "Only SELECT and ASK"),
        ("SELECT * FROM <http://example.org/> {?a ?b ?c}", "FROM is not allowed"),
        ("ASK FROM NAMED <http://example.org/> {?a ?b ?c}", "FROM is not allowed"),
        ("SELECT * {SERVICE <http://example.org/> {?a ?b ?c}}", "SERVICE is not allowed"),
        ("SELECT * {OPTIONAL {SERVICE SILENT ?s {?a ?b ?c}}}", "SERVICE is not allowed"),
        ("ASK {?a ?b ?c FILTER NOT EXISTS {SERVICE <x:y> {?a ?b ?c}}}", "SERVICE is not allowed"),
        ("SELECT ?x {{SELECT ?x {SERVICE <x:y> {?x ?b ?c}}}}", "SERVICE is not allowed"),
        ("SELECT ?x {BIND(EXISTS {SERVICE <x:y> {?a ?b ?c}} AS ?x)}", "SERVICE is not allowed"),
        ("SELECT WHERE", "line:1, col:8"),
        ("ASK {} ; DROP ALL", "Expected end of text"),
        ("SELECT ?x {?x a nope:Thing}", "nope"),
        ("SELECT (REGEX('a', '(') AS ?x) {}", "cannot be evaluated"),
        ("ASK {" * 200, "nested"),
        ("SELECT " + "(" * 40_000, "nested"),
        ("ASK {} #" + "x" * 100_000, "at most 100,000 characters"),
        (" ", "empty"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_reason(graph: Graph, text: str, reason: str) -> None:
    with pytest.raises(SparqlError, match=reason):
        run_sparql(graph, text, max_rows=10)
    assert len(graph) == 5


def test_parsing_alone_tells_mistakes() -> None:
    with pytest.raises(SparqlError):
        parse_sparql("SELECT")
    parse_sparql("ASK {}")
