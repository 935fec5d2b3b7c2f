"""A model as an RDF graph in the OBSL vocabulary."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import assert_never

from rdflib import OWL, RDF, RDFS, XSD, BNode, Graph, Literal
from rdflib.term import Node

from sagitta_compiler.model.resolved import (
    About,
    Column,
    ColumnRef,
    CumulativeMetric,
    DataObject,
    DerivedMetric,
    Dimension,
    Example,
    Expression,
    Join,
    Measure,
    Metric,
    NestedSource,
    PeriodOverPeriodMetric,
    QuerySource,
    Refresh,
    ResolvedModel,
    SemiAdditive,
    TableSource,
    UnionSource,
    WindowMetric,
)
from sagitta_compiler.model.types import Aggregation
from sagitta_compiler.ontology.filter_text import filter_text
from sagitta_compiler.ontology.iris import Iris, iris
from sagitta_compiler.ontology.turtle import write_turtle
from sagitta_compiler.ontology.vocabulary import OBSL, SAGITTA, VOCABULARY, declare
from sagitta_compiler.query.write import query_to_dict

_PREFIXES = {"obsl": OBSL, "sagitta": SAGITTA, "rdf": RDF, "rdfs": RDFS, "owl": OWL, "xsd": XSD}


def to_turtle(model: ResolvedModel, model_id: str) -> str:
    """Returns the model's graph as Turtle; the same model gives the same text."""
    return graph_to_turtle(to_graph(model, model_id))


def graph_to_turtle(graph: Graph) -> str:
    """Returns a graph made by `to_graph` as Turtle."""
    return write_turtle(graph, {prefix: str(namespace) for prefix, namespace in _PREFIXES.items()})


def to_graph(model: ResolvedModel, model_id: str) -> Graph:
    """Returns the model's parts and the declarations of the vocabulary as one graph."""
    graph = Graph(bind_namespaces="none")
    for prefix, namespace in _PREFIXES.items():
        graph.bind(prefix, namespace)
    declare(graph)
    _Writer(graph, model, iris(model, model_id)).write()
    return graph


class _Writer:
    """Adds one model to a graph."""

    def __init__(self, graph: Graph, model: ResolvedModel, addresses: Iris) -> None:
        self._graph = graph
        self._model = model
        self._iris = addresses

    def write(self) -> None:
        model, node = self._model, self._iris.model
        for kind in (OBSL.SemanticModel, OWL.NamedIndividual, OWL.Ontology):
            self._graph.add((node, RDF.type, kind))
        self._graph.add((node, OWL.imports, VOCABULARY))
        self._add(node, RDFS.label, model.name)
        self._about(node, model.about)
        for static in model.filters:
            self._add(node, SAGITTA.staticFilter, filter_text((static,)))
        for data_object in model.objects.values():
            self._data_object(data_object)
        for dimension in model.dimensions.values():
            self._dimension(dimension)
        for measure in model.measures.values():
            self._measure(measure)
        for metric in model.metrics.values():
            self._metric(metric)
        for example in model.examples:
            self._example(example)

    def _add(self, node: Node, predicate: Node, value: object) -> None:
        """Adds one statement; None says nothing, plain values become literals."""
        if value is not None:
            self._graph.add((node, predicate, value if isinstance(value, Node) else Literal(value)))

    def _flag(self, node: Node, predicate: Node, value: bool) -> None:
        """Adds a flag where it is set; its absence means false."""
        self._add(node, predicate, True if value else None)

    def _each(self, node: Node, predicate: Node, values: Iterable[object]) -> None:
        for value in values:
            self._add(node, predicate, value)

    def _part(self, node: Node, kind: Node, link: Node, label: str, about: About) -> None:
        self._graph.add((node, RDF.type, kind))
        self._graph.add((self._iris.model, link, node))
        self._graph.add((node, OBSL.belongsToModel, self._iris.model))
        self._add(node, RDFS.label, label)
        self._about(node, about)

    def _about(self, node: Node, about: About) -> None:
        self._add(node, RDFS.comment, about.description)
        self._add(node, SAGITTA.comment, about.comment)
        self._add(node, OBSL.owner, about.owner)
        self._each(node, OBSL.synonym, about.synonyms)
        for number, extension in enumerate(about.custom_extensions):
            child = _blank(node, f"extension{number}")
            self._graph.add((child, RDF.type, OBSL.CustomExtension))
            self._graph.add((node, OBSL.hasCustomExtension, child))
            self._add(child, OBSL.vendor, extension.vendor)
            self._add(child, OBSL.extensionData, extension.data)

    def _expression(self, node: Node, expression: Expression | None) -> None:
        if expression is None:
            return
        self._add(node, OBSL.expressionSource, expression.text)
        self._each(node, OBSL.referencesColumn, (self._iris.column(ref) for ref in expression.columns))
        for name in expression.measures:
            if name in self._model.measures:
                self._add(node, OBSL.referencesMeasure, self._iris.measure(name))
            else:
                self._add(node, SAGITTA.referencesMetric, self._iris.metric(name))

    def _data_object(self, data_object: DataObject) -> None:
        node = self._iris.data_object(data_object.name)
        self._part(node, OBSL.DataObject, OBSL.hasDataObject, data_object.name, data_object.about)
        self._source(node, data_object)
        self._refresh(node, data_object.refresh)
        for column in data_object.columns.values():
            self._column(node, data_object.name, column)
        for join in data_object.joins:
            self._join(node, join)

    def _source(self, node: Node, data_object: DataObject) -> None:
        match data_object.source:
            case TableSource() as table:
                self._table(node, table)
            case NestedSource(parent=parent, column=column, fallback=fallback):
                nested = self._iris.nested_source(data_object.name)
                self._add(node, OBSL.nestedIn, nested)
                self._graph.add((nested, RDF.type, OBSL.NestedSource))
                self._add(nested, OBSL.nestedInObject, self._iris.data_object(parent))
                self._add(nested, OBSL.nestedInColumn, column)
                if fallback is not None:
                    self._table(node, fallback)
            case QuerySource(query=query):
                self._add(node, SAGITTA.sourceQuery, _json(query_to_dict(query)))
            case UnionSource() as union:
                self._union(node, data_object.name, union)
            case other:
                assert_never(other)

    def _table(self, node: Node, table: TableSource) -> None:
        self._add(node, OBSL.code, table.code)
        self._add(node, OBSL.database, table.database or None)
        self._add(node, OBSL.schema, table.schema or None)
        self._add(node, OBSL.physicalName, table.qualified)

    def _union(self, node: Node, name: str, union: UnionSource) -> None:
        if union.discriminator is not None:
            self._add(node, SAGITTA.discriminator, self._iris.column(ColumnRef(name, union.discriminator)))
        for member in union.members:
            child = self._iris.union_member(name, member.object)
            self._add(node, SAGITTA.unionMember, child)
            self._add(child, SAGITTA.memberObject, self._iris.data_object(member.object))
            self._add(child, SAGITTA.memberValue, member.value)

    def _refresh(self, node: Node, refresh: Refresh | None) -> None:
        if refresh is None:
            return
        child = _blank(node, "refresh")
        self._graph.add((node, OBSL.hasRefreshPolicy, child))
        self._graph.add((child, RDF.type, OBSL.RefreshPolicy))
        self._add(child, OBSL.refreshMode, refresh.mode)
        self._add(child, OBSL.refreshInterval, _duration(refresh.interval_seconds))
        self._add(child, OBSL.refreshAnchor, refresh.anchor)
        self._add(child, OBSL.refreshTimezone, refresh.timezone)
        self._add(child, OBSL.maxStaleness, _duration(refresh.max_staleness_seconds))

    def _column(self, owner: Node, object_name: str, column: Column) -> None:
        node = self._iris.column(ColumnRef(object_name, column.name))
        self._graph.add((owner, OBSL.hasColumn, node))
        self._graph.add((node, RDF.type, OBSL.Column))
        self._graph.add((node, OBSL.belongsToModel, self._iris.model))
        self._add(node, RDFS.label, column.name)
        self._about(node, column.about)
        self._add(node, OBSL.code, None if column.expression else column.code)
        self._add(node, OBSL.resultType, column.type.value)
        self._flag(node, OBSL.primaryKey, column.primary_key)
        self._add(node, OBSL.numClass, column.num_class.value if column.num_class else None)
        self._expression(node, column.expression)

    def _join(self, owner: Node, join: Join) -> None:
        node = self._iris.join(join)
        self._graph.add((owner, OBSL.hasJoin, node))
        self._graph.add((node, RDF.type, OBSL.Join))
        self._graph.add((node, OBSL.belongsToModel, self._iris.model))
        self._add(node, RDFS.label, f"{join.source} → {join.target}")
        self._add(node, OBSL.joinTo, self._iris.data_object(join.target))
        self._add(node, OBSL.cardinality, join.cardinality.value)
        self._each(node, OBSL.columnFrom, (self._iris.column(ColumnRef(join.source, c)) for c in join.columns_from))
        self._each(node, OBSL.columnTo, (self._iris.column(ColumnRef(join.target, c)) for c in join.columns_to))
        self._flag(node, OBSL.secondary, join.secondary)
        self._add(node, OBSL.pathName, join.path_name)
        self._flag(node, OBSL.joinRequired, join.required)

    def _dimension(self, dimension: Dimension) -> None:
        node = self._iris.dimension(dimension.name)
        self._part(node, OBSL.Dimension, OBSL.hasDimension, dimension.name, dimension.about)
        self._add(node, OBSL.dataObject, self._iris.data_object(dimension.object))
        self._add(node, OBSL.column, self._iris.column(dimension.ref))
        self._add(node, OBSL.resultType, dimension.result_type.value)
        self._add(node, OBSL.timeGrain, dimension.time_grain.value if dimension.time_grain else None)
        self._add(node, OBSL.via, self._iris.data_object(dimension.via) if dimension.via else None)
        self._add(node, OBSL["format"], dimension.format)

    def _measure(self, measure: Measure) -> None:
        node = self._iris.measure(measure.name)
        self._part(node, OBSL.Measure, OBSL.hasMeasure, measure.name, measure.about)
        self._add(node, OBSL.aggregation, measure.aggregation.value)
        self._add(node, OBSL.resultType, measure.result_type.value)
        self._measure_source(node, measure)
        self._add(node, OBSL.anchorGrain, self._iris.data_object(measure.anchor) if measure.anchor else None)
        self._flag(node, OBSL.distinct, measure.distinct)
        self._flag(node, OBSL.total, measure.total)
        self._flag(node, OBSL.allowFanOut, measure.allow_fan_out)
        self._add(node, OBSL.defaultValue, None if measure.default_value is None else str(measure.default_value))
        self._add(node, OBSL.filterExpression, filter_text(measure.filters) or None)
        self._grain(node, measure)
        self._within_group(node, measure)
        self._semi_additive(node, measure.semi_additive)
        self._each(node, SAGITTA.over, measure.over)
        self._presentation(node, measure)

    def _measure_source(self, node: Node, measure: Measure) -> None:
        if measure.expression is not None:
            self._expression(node, measure.expression)
        elif measure.columns:
            self._each(node, OBSL.sourceColumn, (self._iris.column(ref) for ref in measure.columns))
        elif measure.count_of is not None:
            self._add(node, OBSL.anchoredTo, self._iris.data_object(measure.count_of))
        if measure.aggregation is Aggregation.PERCENTILE:
            self._add(node, SAGITTA.percentile, measure.percentile)
            self._add(node, SAGITTA.percentileType, "discrete" if measure.percentile_discrete else "continuous")

    def _grain(self, node: Node, measure: Measure) -> None:
        if measure.grain is not None and not measure.total:
            self._add(node, OBSL.grainMode, measure.grain.mode.value)
            self._each(node, OBSL.grainExclude, measure.grain.exclude)
            self._each(node, OBSL.grainInclude, measure.grain.include)
            self._each(node, OBSL.grainKeepOnly, measure.grain.keep_only)
        if measure.filter_context is not None:
            context = measure.filter_context
            self._add(node, OBSL.filterContextMode, context.mode.value)
            self._each(node, OBSL.filterContextExclude, context.exclude)
            self._each(node, OBSL.filterContextKeepOnly, context.keep_only)
            self._each(node, OBSL.filterContextInclude, (filter_text((each,)) for each in context.include))

    def _within_group(self, node: Node, measure: Measure) -> None:
        if measure.aggregation is Aggregation.LISTAGG:
            self._add(node, OBSL.delimiter, measure.delimiter)
        if measure.within_group is not None:
            child = _blank(node, "order")
            self._graph.add((node, OBSL.hasWithinGroup, child))
            self._graph.add((child, RDF.type, OBSL.WithinGroup))
            self._add(child, OBSL.column, self._iris.column(measure.within_group.column))
            self._add(child, OBSL.withinGroupOrder, measure.within_group.order.value.upper())

    def _semi_additive(self, node: Node, semi_additive: SemiAdditive | None) -> None:
        if semi_additive is not None:
            self._add(node, SAGITTA.semiAdditiveFunction, semi_additive.function.value)
            self._add(node, SAGITTA.semiAdditiveTime, self._iris.column(semi_additive.time))
            self._each(node, SAGITTA.semiAdditivePer, (self._iris.column(ref) for ref in semi_additive.per))

    def _presentation(self, node: Node, artefact: Measure | Metric) -> None:
        self._add(node, OBSL.dataType, str(artefact.data_type) if artefact.data_type else None)
        self._add(node, OBSL["format"], artefact.format)

    def _metric(self, metric: Metric) -> None:
        node = self._iris.metric(metric.name)
        self._part(node, OBSL.Metric, OBSL.hasMetric, metric.name, metric.about)
        self._add(node, OBSL.metricType, metric.type.value)
        self._presentation(node, metric)
        match metric:
            case DerivedMetric(expression=expression):
                self._expression(node, expression)
            case CumulativeMetric():
                self._cumulative(node, metric)
            case PeriodOverPeriodMetric():
                self._period_over_period(node, metric)
            case WindowMetric():
                self._window(node, metric)
            case other:
                assert_never(other)

    def _base(self, node: Node, measure: str | None, time_dimension: str | None) -> None:
        if measure is not None:
            is_measure = measure in self._model.measures
            self._add(node, OBSL.baseMeasure, (self._iris.measure if is_measure else self._iris.metric)(measure))
        if time_dimension is not None:
            self._add(node, OBSL.timeDimension, self._iris.dimension(time_dimension))

    def _cumulative(self, node: Node, metric: CumulativeMetric) -> None:
        self._graph.add((node, RDF.type, OBSL.CumulativeMetric))
        self._base(node, metric.measure, metric.time_dimension)
        self._add(node, OBSL.cumulativeType, metric.function.value)
        self._add(node, OBSL.window, metric.window)
        self._add(node, OBSL.grainToDate, metric.grain_to_date.value if metric.grain_to_date else None)
        self._each(node, OBSL.partitionBy, metric.partition_by or ())

    def _period_over_period(self, node: Node, metric: PeriodOverPeriodMetric) -> None:
        self._graph.add((node, RDF.type, OBSL.PeriodOverPeriodMetric))
        self._expression(node, metric.expression)
        self._base(node, None, metric.time_dimension)
        self._add(node, OBSL.timeGrain, metric.grain.value)
        self._add(node, OBSL.offset, metric.offset)
        self._add(node, OBSL.offsetGrain, metric.offset_grain.value)
        self._add(node, OBSL.comparison, metric.comparison.value)

    def _window(self, node: Node, metric: WindowMetric) -> None:
        self._graph.add((node, RDF.type, OBSL.WindowMetric))
        self._base(node, metric.measure, metric.time_dimension)
        self._add(node, OBSL.windowFunction, metric.function.value)
        self._add(node, OBSL.windowOffset, metric.offset)
        self._add(node, OBSL.windowBuckets, metric.buckets)
        self._add(node, OBSL.orderDirection, metric.order.value)
        self._add(node, OBSL.windowDefaultValue, None if metric.default_value is None else str(metric.default_value))
        self._each(node, OBSL.partitionBy, metric.partition_by)

    def _example(self, example: Example) -> None:
        node = self._iris.example(example.name)
        self._graph.add((self._iris.model, OBSL.hasExample, node))
        self._graph.add((node, RDF.type, OBSL.ModelExample))
        self._graph.add((node, OBSL.belongsToModel, self._iris.model))
        self._add(node, OBSL.exampleName, example.name)
        self._add(node, OBSL.exampleDescription, example.description)
        self._add(node, OBSL.exampleQuery, _json(example.query))
        self._each(node, OBSL.intentTag, example.intent_tags)


def _blank(node: Node, role: str) -> BNode:
    """A nameless node, the same one for the same model, so that the text of the graph stays the same."""
    return BNode("b" + hashlib.sha256(f"{node} {role}".encode()).hexdigest()[:16])


def _json(value: object) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _duration(seconds: int | None) -> dt.timedelta | None:
    return None if seconds is None else dt.timedelta(seconds=seconds)
