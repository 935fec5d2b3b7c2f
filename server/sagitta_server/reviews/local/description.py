"""A semantic model described as a dataset."""

from __future__ import annotations

from collections.abc import Mapping

from sagitta_compiler import Query, ResolvedModel
from sagitta_compiler.model.resolved import About, DerivedMetric, Dimension, Expression, Measure, TableSource
from sagitta_compiler.model.resolved import Metric as ModelMetric
from sagitta_compiler.model.types import AbstractType, Aggregation

from sagitta_server.reviews.candidates import Entry
from sagitta_server.reviews.enums import DatasetType, FieldKind
from sagitta_server.reviews.fingerprint import revision_of
from sagitta_server.reviews.json_text import Json, dump
from sagitta_server.reviews.local.queries import base_object, templates
from sagitta_server.reviews.template_variables import has_template_marks
from sagitta_server.reviews.values import Column, Dataset, Metric, TemplateText

_TEXTS = {AbstractType.STRING, AbstractType.JSON}


def describe_model(
    model: ResolvedModel,
    name: str,
    content_key: str,
    payload: Mapping[str, Json],
    query: Query | None,
    *,
    launchable: bool,
) -> Dataset:
    """The dataset that a review of a model is about."""
    base = model.objects[base_object(model)]
    table = base.source if isinstance(base.source, TableSource) else None
    columns = tuple(map(_column, model.dimensions.values()))
    metrics = (
        *(_measure(m) for m in model.measures.values() if not m.synthesised),
        *(_metric(m) for m in model.metrics.values()),
    )
    temporal = [c.name for c in columns if c.type_group == "time"]
    return Dataset(
        ref=f"model:{name}",
        name=name,
        revision=revision_of({"model": content_key, "query": payload.get("query")}),
        dataset_type=DatasetType.TABLE if len(model.objects) == 1 else DatasetType.VIRTUAL,
        schema_name=(table.schema or None) if table else None,
        database_name=(table.database or None) if table else None,
        description=model.about.description,
        certified=True,
        columns=columns,
        metrics=metrics,
        main_time_column=temporal[0] if len(temporal) == 1 else None,
        templates=(*_object_templates(model), *(templates(query, _numeric(columns, metrics)) if query else ())),
        launchable=launchable,
        payload=dump(dict(payload)),
    )


def model_entries(model: ResolvedModel) -> tuple[Entry, ...]:
    """What a model says about its fields, for reviews of other models."""
    columns = (
        Entry(c.name, c.label, c.description, c.display_format, FieldKind.COLUMN, type_group=c.type_group)
        for c in map(_column, model.dimensions.values())
    )
    metrics = (
        Entry(m.name, m.label, m.description, m.display_format, FieldKind.METRIC, type_group=m.type_group)
        for m in (
            *(_measure(m) for m in model.measures.values() if not m.synthesised),
            *(_metric(m) for m in model.metrics.values()),
        )
    )
    return (*columns, *metrics)


def type_group(kind: AbstractType) -> str:
    """`number`, `text`, `time`, `boolean` or `other`."""
    if kind.is_temporal:
        return "time"
    if kind.is_numeric:
        return "number"
    if kind is AbstractType.BOOLEAN:
        return "boolean"
    return "text" if kind in _TEXTS else "other"


def _column(item: Dimension) -> Column:
    return Column(
        name=item.name,
        type=item.result_type.value,
        type_group=type_group(item.result_type),
        expression=f"{item.object}.{item.column}",
        label=_label(item.about),
        description=item.about.description,
        display_format=item.format,
    )


def _measure(item: Measure) -> Metric:
    return Metric(
        name=item.name,
        expression=_measure_sql(item),
        label=_label(item.about),
        description=item.about.description,
        display_format=item.format,
        type_group=type_group(item.result_type) if item.aggregation is not Aggregation.COUNT else "number",
    )


def _metric(item: ModelMetric) -> Metric:
    expression: Expression | None = item.expression if isinstance(item, DerivedMetric) else None
    return Metric(
        name=item.name,
        expression=expression.text if expression else None,
        label=_label(item.about),
        description=item.about.description,
        display_format=item.format,
    )


def _measure_sql(item: Measure) -> str:
    argument = item.expression.text if item.expression else ", ".join(map(str, item.columns)) or "*"
    return f"{item.aggregation.value.upper()}({argument})"


def _label(about: About) -> str | None:
    return about.synonyms[0] if about.synonyms else None


def _object_templates(model: ResolvedModel) -> tuple[TemplateText, ...]:
    return tuple(
        TemplateText(f"table {item.name}", item.source.code, shape="scalar", is_literal=True)
        for item in model.objects.values()
        if isinstance(item.source, TableSource) and has_template_marks(item.source.code)
    )


def _numeric(columns: tuple[Column, ...], metrics: tuple[Metric, ...]) -> frozenset[str]:
    numbers = {c.name for c in columns if c.type_group == "number"}
    return frozenset(numbers | {m.name for m in metrics if m.type_group == "number"})
