"""The OBSL vocabulary: the classes and properties that a model's graph is made of, as data.

The graph embeds these declarations, so that questions about the vocabulary are answered from the graph itself.
Terms for what OBSL cannot say yet are in a namespace of our own.
"""

from __future__ import annotations

from rdflib import OWL, RDF, RDFS, XSD, BNode, Graph, Literal, Namespace, URIRef

OBSL = Namespace("https://ralforion.com/ns/obsl#")
SAGITTA = Namespace("urn:sagitta:terms:")
VOCABULARY = URIRef("https://ralforion.com/ns/obsl")

CLASSES = {
    "SemanticModel": "A model: data objects, dimensions, measures and metrics.",
    "DataObject": "Rows with named columns.",
    "Column": "A column of a data object.",
    "Join": "An equality join between two data objects.",
    "Dimension": "A column to group by.",
    "Measure": "An aggregation.",
    "Metric": "A formula over measures.",
    "NestedSource": "An array column whose elements are rows.",
    "RefreshPolicy": "How often a table changes.",
    "WithinGroup": "The order inside a list aggregation.",
    "ModelExample": "A canonical query.",
    "CustomExtension": "Opaque data of a vendor.",
}
METRIC_CLASSES = {
    "CumulativeMetric": "A running, rolling or to-date aggregate.",
    "PeriodOverPeriodMetric": "A value compared with an earlier period.",
    "WindowMetric": "A rank, a shift or an edge value.",
}

_OBJECT = """
    belongsToModel hasDataObject hasDimension hasMeasure hasMetric hasExample hasCustomExtension hasColumn hasJoin
    hasRefreshPolicy hasWithinGroup nestedIn nestedInObject joinTo columnFrom columnTo dataObject column via
    sourceColumn referencesColumn anchoredTo anchorGrain referencesMeasure baseMeasure timeDimension
"""
_TEXT = """
    code database schema physicalName owner synonym resultType numClass expressionSource cardinality pathName timeGrain
    format aggregation defaultValue filterExpression grainMode grainExclude grainInclude grainKeepOnly
    filterContextMode filterContextExclude filterContextKeepOnly filterContextInclude delimiter withinGroupOrder
    dataType metricType cumulativeType grainToDate partitionBy offsetGrain comparison windowFunction orderDirection
    windowDefaultValue nestedInColumn refreshMode refreshAnchor refreshTimezone exampleName exampleDescription
    exampleQuery intentTag vendor extensionData countLabel countLabelPattern
"""
_TYPED = {
    XSD.boolean: "primaryKey secondary joinRequired distinct total allowFanOut countable exposeCounts",
    XSD.integer: "window offset windowOffset windowBuckets",
    XSD.dayTimeDuration: "refreshInterval maxStaleness",
}
FUNCTIONAL = frozenset(
    (
        *("joinTo", "code", "database", "schema", "physicalName", "resultType", "aggregation", "metricType"),
        *("cardinality", "expressionSource", "filterExpression", "dataObject", "column", "grainMode"),
        *("filterContextMode", "cumulativeType", "window", "grainToDate", "offset", "offsetGrain", "comparison"),
        *("primaryKey", "numClass", "delimiter", "withinGroupOrder", "vendor", "extensionData", "exampleName"),
        *("exampleDescription", "exampleQuery"),
    )
)
"""Properties with at most one value per node."""

_OWN_OBJECT = "semiAdditiveTime semiAdditivePer unionMember memberObject discriminator referencesMetric"
_OWN_TEXT = """
    percentileType semiAdditiveFunction over sourceQuery memberValue staticFilter comment
"""
_OWN_TYPED = {XSD.double: "percentile", XSD.boolean: "overrideDatabaseTimezone"}


def declare(graph: Graph) -> None:
    """Adds the declarations of every class and property to a graph."""
    for name, comment in (CLASSES | METRIC_CLASSES).items():
        graph.add((OBSL[name], RDF.type, OWL.Class))
        graph.add((OBSL[name], RDFS.label, Literal(name)))
        graph.add((OBSL[name], RDFS.comment, Literal(comment)))
    for name in METRIC_CLASSES:
        graph.add((OBSL[name], RDFS.subClassOf, OBSL.Metric))
    _declare_properties(graph, OBSL, _OBJECT, _TEXT, _TYPED)
    _declare_properties(graph, SAGITTA, _OWN_OBJECT, _OWN_TEXT, _OWN_TYPED)
    for name in FUNCTIONAL:
        graph.add((OBSL[name], RDF.type, OWL.FunctionalProperty))
    disjoint = BNode("disjoint")
    graph.add((disjoint, RDF.type, OWL.AllDisjointClasses))
    graph.add((disjoint, OWL.members, _list(graph, [OBSL[name] for name in CLASSES])))


def _list(graph: Graph, members: list[URIRef]) -> BNode | URIRef:
    """Adds an RDF list; its nodes have the same names every time."""
    rest: BNode | URIRef = RDF.nil
    for position, member in reversed(list(enumerate(members))):
        node = BNode(f"disjoint{position}")
        graph.add((node, RDF.first, member))
        graph.add((node, RDF.rest, rest))
        rest = node
    return rest


def _declare_properties(graph: Graph, namespace: Namespace, objects: str, texts: str, typed: dict[URIRef, str]) -> None:
    for name in objects.split():
        graph.add((namespace[name], RDF.type, OWL.ObjectProperty))
    for value_type, names in {XSD.string: texts, **typed}.items():
        for name in names.split():
            graph.add((namespace[name], RDF.type, OWL.DatatypeProperty))
            graph.add((namespace[name], RDFS.range, value_type))
