from __future__ import annotations

import pytest
from rdflib import OWL, RDF, RDFS, Graph, Literal, URIRef
from rdflib.compare import isomorphic
from sagitta_compiler.ontology import run_sparql, to_graph, to_turtle
from sagitta_compiler.ontology.iris import slug, slugs
from sagitta_compiler.ontology.vocabulary import FUNCTIONAL, OBSL, SAGITTA

from .models import model

BASE = "https://ralforion.com/ns/model/abc123"
PREFIXES = """
PREFIX obsl: <https://ralforion.com/ns/obsl#>
PREFIX sagitta: <urn:sagitta:terms:>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX owl: <http://www.w3.org/2002/07/owl#>
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return to_graph(model(), "abc123")


def ask(graph: Graph, pattern: str) -> bool | None:
    return run_sparql(graph, f"{PREFIXES} ASK {{{pattern}}}", max_rows=1).boolean


def select(graph: Graph, text: str) -> list[tuple[str | None, ...]]:
    return [tuple(row.values()) for row in run_sparql(graph, PREFIXES + text, max_rows=1000).rows]


def test_the_turtle_is_the_graph_and_says_the_same_each_time(graph: Graph) -> None:
    text = to_turtle(model(), "abc123")
    assert isomorphic(Graph().parse(data=text, format="turtle"), graph)
    assert text == to_turtle(model(), "abc123")
    assert f"<{BASE}> a " in text
    assert "obsl:hasMeasure <https://ralforion.com/ns/model/abc123/measure/" in text


def test_the_documented_question_gives_the_labels_of_the_measures(graph: Graph) -> None:
    labels = select(graph, "SELECT ?label WHERE {?m a obsl:Measure ; rdfs:label ?label} ORDER BY ?label")
    declared = {"Revenue", "Net-Revenue", "Paid", "All Revenue", "P95"}
    assert declared <= {label for (label,) in labels}
    assert ("Orders Count",) in labels


@pytest.mark.parametrize(
    "pattern",
    [
        f"<{BASE}> a obsl:SemanticModel, owl:Ontology ; obsl:hasDataObject <{BASE}/data-object/orders>",
        f"<{BASE}> rdfs:comment 'What was sold.' ; obsl:owner 'finance'",
        f"<{BASE}> obsl:hasCustomExtension [obsl:vendor 'ACME' ; obsl:extensionData '{{\"a\": 1}}']",
        f"<{BASE}> sagitta:staticFilter \"Orders.Status notequals 'void'\"",
        f"<{BASE}/data-object/customers> obsl:physicalName 'WH.PUBLIC.CUSTOMERS' ; obsl:synonym 'clients', 'accounts'",
        f"<{BASE}/data-object/customers> obsl:hasRefreshPolicy [obsl:refreshAnchor '02:00' ; obsl:refreshInterval ?i]",
        f"<{BASE}/data-object/orders/column/id> obsl:primaryKey true ; obsl:code 'ID' ; obsl:belongsToModel <{BASE}>",
        (
            f"<{BASE}/data-object/orders/column/net> obsl:expressionSource '{{Amount}} * 0.8' ;"
            f" obsl:referencesColumn <{BASE}/data-object/orders/column/amount>"
        ),
        (
            f"<{BASE}/join/orders-to-customers> obsl:joinTo <{BASE}/data-object/customers> ;"
            f" obsl:columnFrom <{BASE}/data-object/orders/column/customer>"
        ),
        (
            f"<{BASE}/join/orders-to-customers/ship-to> obsl:secondary true ; obsl:pathName 'ship to' ;"
            " rdfs:label 'Orders → Customers'"
        ),
        f"<{BASE}/dimension/month> obsl:timeGrain 'month' ; obsl:column <{BASE}/data-object/orders/column/day>",
        f"<{BASE}/measure/revenue> obsl:sourceColumn <{BASE}/data-object/orders/column/amount> ; obsl:format ?f",
        f"<{BASE}/measure/paid> obsl:filterExpression \"Orders.Status equals 'paid'\"",
        f"<{BASE}/measure/all-revenue> obsl:total true",
        f"<{BASE}/measure/p95> sagitta:percentile 0.95e0 ; sagitta:percentileType 'continuous'",
        f"<{BASE}/measure/orders-count> obsl:anchoredTo <{BASE}/data-object/orders>",
        f"<{BASE}/metric/share> obsl:referencesMeasure <{BASE}/measure/revenue>, <{BASE}/measure/all-revenue>",
        f"<{BASE}/metric/twice> sagitta:referencesMetric <{BASE}/metric/share>",
        f"<{BASE}/metric/running> a obsl:CumulativeMetric ; obsl:window 3 ; obsl:baseMeasure <{BASE}/measure/revenue>",
        f"<{BASE}/metric/yoy> a obsl:PeriodOverPeriodMetric ; obsl:offset -1 ; obsl:comparison 'difference'",
        f"<{BASE}/metric/rank> a obsl:WindowMetric ; obsl:windowFunction 'rank' ; obsl:orderDirection 'desc'",
        "?e a obsl:ModelExample ; obsl:exampleName 'by_country' ; obsl:intentTag 'geo'",
        "obsl:Measure a owl:Class",
    ],
)
def test_every_part_of_the_model_is_said(graph: Graph, pattern: str) -> None:
    assert ask(graph, pattern)


def test_functional_properties_have_one_value_and_every_property_is_declared(graph: Graph) -> None:
    for name in FUNCTIONAL:
        subjects = list(graph.subjects(OBSL[name]))
        assert len(subjects) == len(set(subjects)), name
    declared = set(graph.subjects(RDF.type, OWL.ObjectProperty)) | set(graph.subjects(RDF.type, OWL.DatatypeProperty))
    used = {predicate for predicate in graph.predicates() if predicate.startswith((str(OBSL), str(SAGITTA)))}
    assert used <= declared


def test_object_properties_lead_to_nodes_and_data_properties_to_values(graph: Graph) -> None:
    for predicate in graph.subjects(RDF.type, OWL.ObjectProperty):
        assert not [value for value in graph.objects(None, predicate) if isinstance(value, Literal)], predicate
    for predicate in graph.subjects(RDF.type, OWL.DatatypeProperty):
        assert [value for value in graph.objects(None, predicate) if not isinstance(value, Literal)] == [], predicate


def test_an_address_that_is_used_is_described(graph: Graph) -> None:
    used = {value for value in graph.objects() if isinstance(value, URIRef) and value.startswith(BASE)}
    assert {address for address in used if (address, RDF.type, None) not in graph} == set()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Net Sales", "net-sales"), ("net_sales", "net-sales"), ("Revenue", "revenue"), ("2024 Plan", "2024-plan")],
)
def test_a_plain_name_gives_a_plain_slug(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_names_never_share_an_address() -> None:
    names = [
        "Net Sales",
        "Net-Sales",
        "Net  Sales",
        "net_sales",
        "売上",
        "数量",
        "Umsätze",
        "!",
        "?",
        "Revenue",
        "revenue",
    ]
    found = slugs(names)
    assert len(set(found.values())) == len(names)
    assert slugs(["Net Sales", "net income"]) == {"Net Sales": "net-sales", "net income": "net-income"}
    assert all(text.isascii() and text for text in found.values())


def test_awkward_names_make_a_valid_graph() -> None:
    awkward = """
dataObjects:
  "Ventes <été> \\"1\\"":
    {code: t, columns: {"Prix €": {code: p, abstractType: float}, "Prix $": {abstractType: float}}}
measures:
  "100% {of} total": {columns: [{dataObject: "Ventes <été> \\"1\\"", column: "Prix €"}], aggregation: sum}
  "100% {of} total!": {columns: [{dataObject: "Ventes <été> \\"1\\"", column: "Prix $"}], aggregation: sum}
"""
    text = to_turtle(model(awkward), "a b/c#d")
    graph = Graph().parse(data=text, format="turtle")
    assert len(list(graph.subjects(RDF.type, OBSL.Column))) == 2
    labels = {
        str(label) for node in graph.subjects(RDF.type, OBSL.Measure) for label in graph.objects(node, RDFS.label)
    }
    assert {"100% {of} total", "100% {of} total!"} <= labels
