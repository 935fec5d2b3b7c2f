"""Superset's description of a dataset, turned into ours; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sagitta_server.reviews.candidates import Entry
from sagitta_server.reviews.enums import DatasetType, FieldKind
from sagitta_server.reviews.fingerprint import revision_of
from sagitta_server.reviews.json_text import EMPTY_OBJECT, InvalidJsonError, Json, JsonText, dump, load
from sagitta_server.reviews.template_variables import has_template_marks
from sagitta_server.reviews.values import Column, Dataset, Metric, TemplateText

DIALECTS: Mapping[str, str] = {
    "awsathena": "athena",
    "bigquery": "bigquery",
    "clickhouse": "clickhouse",
    "clickhousedb": "clickhouse",
    "cockroachdb": "postgres",
    "databricks": "databricks",
    "doris": "doris",
    "drill": "drill",
    "druid": "druid",
    "duckdb": "duckdb",
    "exasol": "exasol",
    "gsheets": "sqlite",
    "hive": "hive",
    "impala": "hive",
    "motherduck": "duckdb",
    "mssql": "tsql",
    "mysql": "mysql",
    "oracle": "oracle",
    "postgresql": "postgres",
    "presto": "presto",
    "redshift": "redshift",
    "shillelagh": "sqlite",
    "snowflake": "snowflake",
    "sqlite": "sqlite",
    "starrocks": "starrocks",
    "superset": "sqlite",
    "teradatasql": "teradata",
    "trino": "trino",
}
"""sqlglot's name for each of Superset's backends; others are read as standard SQL."""
_TYPE_GROUPS = {0: "number", 1: "text", 2: "time", 3: "boolean"}


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What is asked of the database behind a dataset."""

    database_id: int
    name: str
    backend: str
    launchable: bool
    """SQL Lab may be used on it."""


@dataclass(frozen=True, slots=True)
class SqlText:
    """A text of SQL Lab: permalink, saved query, former query, or inline in the link."""

    database_id: int
    sql: str
    schema: str | None = None
    catalog: str | None = None
    template_params: JsonText = EMPTY_OBJECT
    name: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """What compiling and running a dataset needs; kept with the review as JSON."""

    database_id: int
    backend: str
    dataset_id: int | None = None
    """None for a text of SQL Lab."""
    changed_on: str | None = None
    schema: str | None = None
    catalog: str | None = None
    table: str = ""
    sql: str | None = None
    """The dataset's own SQL; None for a table."""
    expressions: tuple[tuple[str, str], ...] = ()
    """Computed columns: name and SQL."""

    @property
    def dialect(self) -> str | None:
        """The database's dialect by sqlglot's name; None when there is none."""
        return DIALECTS.get(self.backend)


def payload_of(dataset: Dataset) -> Payload:
    """The payload that a dataset carries."""
    held = load(dataset.payload)
    assert isinstance(held, dict)
    computed = held.get("expressions")
    return Payload(
        database_id=integer(held.get("database_id")) or 0,
        backend=str(held.get("backend") or ""),
        dataset_id=integer(held.get("dataset_id")),
        changed_on=text(held.get("changed_on")),
        schema=text(held.get("schema")),
        catalog=text(held.get("catalog")),
        table=str(held.get("table") or ""),
        sql=text(held.get("sql")),
        expressions=tuple((str(n), str(e)) for n, e in computed.items()) if isinstance(computed, dict) else (),
    )


def describe_dataset(
    raw: Mapping[str, Json], database: DatabaseFacts, base_url: str, more: Iterable[TemplateText] = ()
) -> Dataset:
    """A dataset of Superset; `more` are templates of datasets that its own refers to."""
    columns, metrics = objects(raw.get("columns")), objects(raw.get("metrics"))
    virtual = raw.get("kind") == "virtual" or bool(text(raw.get("sql")))
    sql_lab = bool(raw.get("is_sqllab_view"))
    kind = DatasetType.TABLE if not virtual else DatasetType.SQLLAB_VIEW if sql_lab else DatasetType.VIRTUAL
    described = tuple(map(_column, columns))
    return Dataset(
        ref=f"dataset:{raw.get('id')}",
        name=str(raw.get("table_name") or ""),
        revision=revision(raw),
        dataset_type=kind,
        schema_name=text(raw.get("schema")),
        database_name=database.name,
        description=text(raw.get("description")),
        certified=_is_certified(raw),
        columns=described,
        metrics=tuple(map(_metric, metrics)),
        main_time_column=_main_time(raw, described),
        templates=(*templates(raw), *more),
        template_params=parameters(raw.get("template_params")),
        base_url=base_url,
        launchable=database.launchable,
        payload=_payload(raw, database),
    )


def describe_text(
    source: SqlText, columns: tuple[Column, ...], ref: str, facts: DatabaseFacts, base_url: str
) -> Dataset:
    """A text of SQL Lab as a dataset; its columns are what could be learnt without running it."""
    payload: dict[str, Json] = {
        "database_id": source.database_id,
        "backend": facts.backend,
        "schema": source.schema,
        "catalog": source.catalog,
        "sql": source.sql,
    }
    temporal = [c.name for c in columns if c.type_group == "time"]
    return Dataset(
        ref=ref,
        name=source.name or "SQL Lab query",
        revision=text_revision(source),
        dataset_type=DatasetType.SQLLAB_VIEW,
        schema_name=source.schema,
        database_name=facts.name,
        certified=None,
        columns=columns,
        main_time_column=temporal[0] if len(temporal) == 1 else None,
        templates=(TemplateText("sql", source.sql),) if has_template_marks(source.sql) else (),
        template_params=source.template_params,
        base_url=base_url,
        launchable=facts.launchable,
        payload=dump(payload),
    )


def text_revision(source: SqlText) -> str:
    """The revision of a text of SQL Lab."""
    return revision_of(
        {"sql": source.sql, "template_params": load(source.template_params), "database": source.database_id}
    )


def revision(raw: Mapping[str, Json]) -> str:
    """Everything that shapes the dataset's SQL; labels and `changed_on` are not in it."""
    database = raw.get("database")
    return revision_of(
        {
            "sql": raw.get("sql"),
            "template_params": load(parameters(raw.get("template_params"))),
            "main_dttm_col": raw.get("main_dttm_col"),
            "columns": [
                [c.get("column_name"), c.get("type"), c.get("expression")] for c in objects(raw.get("columns"))
            ],
            "metrics": [[m.get("metric_name"), m.get("expression")] for m in objects(raw.get("metrics"))],
            "fetch_values_predicate": raw.get("fetch_values_predicate"),
            "database": database.get("id") if isinstance(database, dict) else None,
        }
    )


def templates(raw: Mapping[str, Json], prefix: str = "") -> tuple[TemplateText, ...]:
    """Every text of a dataset that holds template marks."""
    named = [
        ("sql", raw.get("sql")),
        ("fetch_values_predicate", raw.get("fetch_values_predicate")),
        *((f"column {c.get('column_name')}", c.get("expression")) for c in objects(raw.get("columns"))),
        *((f"metric {m.get('metric_name')}", m.get("expression")) for m in objects(raw.get("metrics"))),
    ]
    return tuple(
        TemplateText(f"{prefix}{origin}", value)
        for origin, value in named
        if isinstance(value, str) and has_template_marks(value)
    )


def entries(dataset: Dataset) -> tuple[Entry, ...]:
    """What a dataset says about its fields, for reviews of other datasets."""
    return (
        *(_entry(c, FieldKind.COLUMN) for c in dataset.columns),
        *(_entry(m, FieldKind.METRIC) for m in dataset.metrics),
    )


def parameters(value: Json) -> JsonText:
    """Template parameters, which Superset keeps as text; nothing where that is no JSON object."""
    try:
        parsed = load(value) if isinstance(value, str) and value.strip() else value
    except InvalidJsonError:
        return EMPTY_OBJECT
    return dump(parsed) if isinstance(parsed, dict) else EMPTY_OBJECT


def objects(value: Json) -> list[dict[str, Json]]:
    """The objects in a list; empty for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Json) -> str | None:
    """A text that says something; None for anything else."""
    return value if isinstance(value, str) and value.strip() else None


def integer(value: Json) -> int | None:
    """A whole number; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _entry(item: Column | Metric, kind: FieldKind) -> Entry:
    return Entry(item.name, item.label, item.description, item.display_format, kind, type_group=item.type_group)


def _column(raw: Mapping[str, Json]) -> Column:
    generic = integer(raw.get("type_generic"))
    group = "time" if raw.get("is_dttm") else _TYPE_GROUPS.get(-1 if generic is None else generic, "other")
    return Column(
        name=str(raw.get("column_name") or ""),
        type=str(raw.get("type") or ""),
        type_group=group,
        expression=text(raw.get("expression")),
        label=_label(raw, "column_name"),
        description=text(raw.get("description")),
    )


def _metric(raw: Mapping[str, Json]) -> Metric:
    return Metric(
        name=str(raw.get("metric_name") or ""),
        expression=text(raw.get("expression")),
        label=_label(raw, "expression"),
        description=text(raw.get("description")),
        display_format=text(raw.get("d3format")),
    )


def _label(raw: Mapping[str, Json], copied: str) -> str | None:
    """A label; Superset fills it with a copy of another property where nobody wrote one."""
    label = text(raw.get("verbose_name"))
    return None if label == raw.get(copied) else label


def _is_certified(raw: Mapping[str, Json]) -> bool:
    extra = load(parameters(raw.get("extra")))
    return isinstance(extra, dict) and bool(extra.get("certification"))


def _main_time(raw: Mapping[str, Json], columns: tuple[Column, ...]) -> str | None:
    named = text(raw.get("main_dttm_col"))
    if named is not None and any(c.name == named for c in columns):
        return named
    temporal = [c.name for c in columns if c.type_group == "time"]
    return temporal[0] if len(temporal) == 1 else None


def _payload(raw: Mapping[str, Json], database: DatabaseFacts) -> JsonText:
    expressions: dict[str, Json] = {
        str(c.get("column_name")): c.get("expression") for c in objects(raw.get("columns")) if text(c.get("expression"))
    }
    return dump(
        {
            "dataset_id": raw.get("id"),
            "changed_on": raw.get("changed_on"),
            "database_id": database.database_id,
            "backend": database.backend,
            "schema": raw.get("schema"),
            "catalog": raw.get("catalog"),
            "table": raw.get("table_name"),
            "sql": raw.get("sql"),
            "expressions": expressions,
        }
    )
