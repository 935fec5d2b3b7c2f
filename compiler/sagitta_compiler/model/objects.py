"""Data objects: columns, joins, sources and freshness contracts."""

from __future__ import annotations

import re

from sagitta_compiler.expressions.parse import Place, parse_expression
from sagitta_compiler.model.document import (
    ColumnDocument,
    DataObjectDocument,
    JoinDocument,
    RefreshDocument,
    UnionMemberDocument,
)
from sagitta_compiler.model.durations import parse_duration
from sagitta_compiler.model.resolved import (
    Column,
    ColumnRef,
    DataObject,
    Expression,
    Join,
    NestedSource,
    QuerySource,
    Refresh,
    Source,
    TableSource,
    UnionMember,
    UnionSource,
)
from sagitta_compiler.model.row_policies import read_row_policy
from sagitta_compiler.model.scope import Scope, about
from sagitta_compiler.model.settings import is_time_zone
from sagitta_compiler.query.parse import read_query
from sagitta_compiler.source import Path

_ANCHOR = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def resolve_objects(scope: Scope) -> dict[str, DataObject]:
    """Returns every data object whose source is known."""
    resolved: dict[str, DataObject] = {}
    for name, document in scope.objects.items():
        path: Path = ("dataObjects", name)
        source = _source(scope, name, document, path)
        columns = {
            column: _column(scope, name, column, item, (*path, "columns", column))
            for column, item in scope.columns(name).items()
        }
        if not columns and not scope.is_broken(*path, "columns") and not _has_broken_columns(scope, path):
            scope.report.error(
                "DATA_OBJECT_PARSE_ERROR", f"Data object '{name}' has no columns", path, "Add `columns:`."
            )
        if document.count_label is not None and not document.countable:
            message = f"'{name}' is not counted: its 'countLabel' is ignored"
            scope.report.warning("DATA_OBJECT_PARSE_ERROR", message, (*path, "countLabel"), "Remove it.")
        resolved[name] = DataObject(
            name=name,
            source=source or TableSource("", "", name),
            columns=columns,
            joins=_joins(scope, name, document.joins, path),
            refresh=_refresh(scope, document.refresh, (*path, "refresh")),
            countable=document.countable,
            count_label=document.count_label,
            about=about(document),
            row_policy=read_row_policy(scope, name, document.row_policy, (*path, "rowPolicy")),
        )
    return resolved


def _has_broken_columns(scope: Scope, path: Path) -> bool:
    return any(broken[:3] == (*path, "columns") for broken in scope.broken)


def _column(scope: Scope, home: str, name: str, document: ColumnDocument, path: Path) -> Column:
    if document.expression is not None and document.code is not None:
        scope.report.warning(
            "DATA_OBJECT_PARSE_ERROR",
            f"Column '{name}' has both 'code' and 'expression'; it is computed",
            path,
            "Keep `code` for a physical column, `expression` for a computed one.",
        )
    return Column(
        name=name,
        code=document.code or name,
        type=document.abstract_type,
        expression=_expression(scope, home, document.expression, (*path, "expression")),
        primary_key=document.primary_key,
        num_class=document.num_class,
        sql_type=document.sql_type,
        sql_precision=document.sql_precision,
        sql_scale=document.sql_scale,
        about=about(document),
    )


def _expression(scope: Scope, home: str, text: str | None, path: Path) -> Expression | None:
    if text is None:
        return None
    parsed = parse_expression(text, Place.COLUMN, home)
    for problem in parsed.problems:
        scope.report.error(problem.code, problem.message, path, problem.hint)
    return parsed.expression


def _joins(scope: Scope, name: str, documents: tuple[JoinDocument, ...], path: Path) -> tuple[Join, ...]:
    joins = (_join(scope, name, document, (*path, "joins", at)) for at, document in enumerate(documents))
    sound = tuple(join for join in joins if join is not None)
    scope.joins_are_whole &= len(sound) == len(documents)
    return sound


def _join(scope: Scope, name: str, document: JoinDocument, path: Path) -> Join | None:
    target = document.join_to.strip()
    sides = (
        ("columnsFrom", name, tuple(c.strip() for c in document.columns_from)),
        ("columnsTo", target, tuple(c.strip() for c in document.columns_to)),
    )
    sound = scope.check_object(target, (*path, "joinTo"), "UNKNOWN_JOIN_TARGET")
    for key, owner, labels in sides:
        sound &= _check_join_columns(scope, owner, labels, (*path, key))
    if all(labels for _, _, labels in sides) and len(sides[0][2]) != len(sides[1][2]):
        counts = f"{len(sides[0][2])} columns to {len(sides[1][2])}"
        hint = "Both lists name the pairs in the same order."
        scope.report.error("JOIN_COLUMN_COUNT_MISMATCH", f"The join to '{target}' compares {counts}", path, hint)
        sound = False
    if document.secondary and not document.path_name:
        message = f"The secondary join to '{target}' has no name"
        scope.report.error("SECONDARY_JOIN_MISSING_PATH_NAME", message, path, "Add `pathName:`.")
    if not sound:
        return None
    return Join(
        source=name,
        target=target,
        cardinality=document.join_type,
        columns_from=sides[0][2],
        columns_to=sides[1][2],
        secondary=document.secondary,
        path_name=document.path_name,
        required=document.required,
    )


def _check_join_columns(scope: Scope, owner: str, labels: tuple[str, ...], path: Path) -> bool:
    if not labels:
        scope.report.error("EMPTY_JOIN_COLUMNS", f"'{path[-1]}' names no column", path, "Name at least one column.")
        return False
    if owner not in scope.objects:
        return False
    sound = True
    for at, label in enumerate(labels):
        if not scope.has_column(ColumnRef(owner, label)):
            within = f" in data object '{owner}'"
            names = scope.columns(owner)
            scope.report.unknown("UNKNOWN_JOIN_COLUMN", "Column", label, names, (*path, at), within=within)
            sound = False
    return sound


def _source(scope: Scope, name: str, document: DataObjectDocument, path: Path) -> Source | None:
    given = [key for key in ("nested_in", "query", "union_of") if getattr(document, key) is not None]
    table = TableSource(document.database or "", document.schema_ or "", document.code) if document.code else None
    if len(given) > 1 or (table is not None and given and given != ["nested_in"]):
        message = f"Data object '{name}' has more than one source"
        hint = "Give it one of `code`, `nestedIn`, `query` and `unionOf`."
        scope.report.error("DATA_OBJECT_PARSE_ERROR", message, path, hint)
        return None
    if document.nested_in is not None:
        parent = document.nested_in.data_object.strip()
        scope.check_object(parent, (*path, "nestedIn", "dataObject"))
        return NestedSource(parent, document.nested_in.column.strip(), table)
    if document.query is not None:
        return _query_source(scope, document, path)
    if document.union_of is not None:
        return _union_source(scope, name, document, path)
    if table is None and not scope.is_broken(*path, "code"):
        hint = "Add `code:` with the table or view, or one of `nestedIn`, `query`, `unionOf`."
        scope.report.error("DATA_OBJECT_PARSE_ERROR", f"Data object '{name}' has no source", path, hint)
    return table


def _query_source(scope: Scope, document: DataObjectDocument, path: Path) -> QuerySource | None:
    query, diagnostics = read_query(document.query)
    for diagnostic in diagnostics:
        inner = f"query.{diagnostic.path}" if diagnostic.path else "query"
        scope.report.error(
            diagnostic.code,
            f"The query of this data object: {diagnostic.message}",
            (*path, inner),
            diagnostic.hint,
            suggestions=diagnostic.suggestions,
        )
    return None if query is None else QuerySource(query)


def _union_source(scope: Scope, name: str, document: DataObjectDocument, path: Path) -> UnionSource | None:
    assert document.union_of is not None
    columns = scope.columns(name)
    discriminator = document.discriminator.strip() if document.discriminator else None
    if discriminator is not None and discriminator not in columns:
        within = f" in data object '{name}'"
        scope.report.unknown(
            "UNKNOWN_COLUMN", "Column", discriminator, columns, (*path, "discriminator"), within=within
        )
    if not document.union_of:
        message = f"The union '{name}' has no members"
        scope.report.error("DATA_OBJECT_PARSE_ERROR", message, (*path, "unionOf"), "Name at least one data object.")
    wanted = [label for label, column in columns.items() if label != discriminator and column.expression is None]
    members = tuple(
        _member(scope, member, wanted, (*path, "unionOf", at)) for at, member in enumerate(document.union_of)
    )
    return UnionSource(members, discriminator)


def _member(scope: Scope, document: UnionMemberDocument, wanted: list[str], path: Path) -> UnionMember:
    name = document.data_object.strip()
    given = {key.strip(): value.strip() for key, value in document.columns.items()}
    columns = {label: given.get(label, label) for label in wanted}
    if scope.check_object(name, (*path, "dataObject")):
        for label, column in given.items():
            ref = ColumnRef(name, column)
            scope.check_column(ref, (*path, "columns", label), object_path=(*path, "dataObject"))
            if label not in wanted:
                scope.report.unknown("UNKNOWN_COLUMN", "Union column", label, wanted, (*path, "columns", label))
    present = {label: column for label, column in columns.items() if scope.has_column(ColumnRef(name, column))}
    return UnionMember(name, present, document.value if document.value is not None else name)


def _refresh(scope: Scope, document: RefreshDocument | None, path: Path) -> Refresh | None:
    if document is None:
        return None
    code, report = "REFRESH_PARSE_ERROR", scope.report
    if document.mode not in ("interval", "heartbeat", "static"):
        message = f"'{document.mode}' is not a refresh mode"
        report.error(code, message, (*path, "mode"), "Use one of: interval, heartbeat, static.")
    if document.mode == "interval" and document.interval is None:
        report.error(code, "The mode 'interval' needs 'interval'", (*path, "interval"), "Add `interval: 1h`.")
    if document.mode == "heartbeat" and document.max_staleness is None:
        report.error(code, "The mode 'heartbeat' needs 'maxStaleness'", (*path, "max_staleness"), "Add it.")
    if document.anchor is not None and not _ANCHOR.fullmatch(document.anchor):
        report.error(code, f"'{document.anchor}' is not a time of day", (*path, "anchor"), 'Write "HH:MM".')
    if not is_time_zone(document.timezone):
        message = f"'{document.timezone}' is not a time zone"
        report.error(code, message, (*path, "timezone"), "Use an IANA name such as Europe/Berlin.")
    return Refresh(
        mode=document.mode,
        interval_seconds=_duration(scope, document.interval, (*path, "interval")),
        anchor=document.anchor,
        timezone=document.timezone,
        max_staleness_seconds=_duration(scope, document.max_staleness, (*path, "max_staleness")),
    )


def _duration(scope: Scope, text: str | None, path: Path) -> int | None:
    if text is None:
        return None
    seconds = parse_duration(text)
    if seconds is None:
        message = f"'{text}' is not a duration; freshness is unknown"
        hint = "Write 15m, 6h, 1d, 2w, or PT15M, P1DT6H."
        scope.report.warning("REFRESH_PARSE_ERROR", message, path, hint)
    return seconds
