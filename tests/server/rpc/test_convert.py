"""Messages and values: every choice converts, a query survives the way there and back."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagitta.semantic.v1 import diagnostic_pb2, model_pb2, query_pb2
from sagitta_compiler import Diagnostic, Severity, Span
from sagitta_compiler.model.types import Cardinality, Direction, FilterOperator, TimeGrain
from sagitta_compiler.query.query import (
    DimensionItem,
    Filter,
    FilterGroup,
    Grouping,
    Logic,
    MeasureItem,
    NullsOrder,
    RelativePeriod,
)
from sagitta_server.errors import DETAIL_BYTES, Reason, ServiceError, service_status, to_status
from sagitta_server.rpc import convert, read_query


@pytest.mark.parametrize(
    ("table", "values", "enum"),
    [
        (convert.SEVERITY, Severity, diagnostic_pb2.Severity),
        (convert.CARDINALITY, Cardinality, model_pb2.Cardinality),
        (read_query.TIME_GRAIN, TimeGrain, query_pb2.TimeGrain),
        (read_query.FILTER_OPERATOR, FilterOperator, query_pb2.FilterOperator),
        (read_query.LOGIC, Logic, query_pb2.Logic),
        (read_query.DIRECTION, Direction, query_pb2.Direction),
        (read_query.NULLS, NullsOrder, query_pb2.NullsOrder),
        (read_query.GROUPING, Grouping, query_pb2.Grouping),
    ],
)
def test_every_value_of_an_enum_converts_both_ways(table: dict[Any, int], values: type[StrEnum], enum: Any) -> None:
    assert set(table) == set(values)
    assert sorted(table.values()) == sorted(number for number in enum.values() if number != 0)


def test_a_typed_query_becomes_the_same_value_as_its_text() -> None:
    message = query_pb2.Query(
        select=query_pb2.Select(
            dimensions=[query_pb2.DimensionItem(name="Day", grain=query_pb2.TIME_GRAIN_MONTH, alias="Month")],
            measures=[query_pb2.MeasureItem(name="Revenue")],
        ),
        where=[
            query_pb2.FilterNode(
                group=query_pb2.FilterGroup(
                    logic=query_pb2.LOGIC_OR,
                    negated=True,
                    filters=[
                        query_pb2.FilterNode(
                            filter=query_pb2.Filter(
                                field="Amount",
                                op=query_pb2.FILTER_OPERATOR_BETWEEN,
                                values=[query_pb2.Value(decimal="1.10"), query_pb2.Value(integer=2**60)],
                            )
                        ),
                        query_pb2.FilterNode(
                            filter=query_pb2.Filter(
                                field="Day",
                                op=query_pb2.FILTER_OPERATOR_RELATIVE,
                                relative=query_pb2.RelativePeriod(unit=query_pb2.TIME_GRAIN_DAY, count=7),
                            )
                        ),
                    ],
                )
            )
        ],
        limit=5,
        grouping=query_pb2.GROUPING_ROLLUP,
    )
    query = read_query.read_query_message(message)
    assert query.dimensions == (DimensionItem("Day", TimeGrain.MONTH, "Month"),)
    assert query.measures == (MeasureItem("Revenue"),)
    assert query.where == (
        FilterGroup(
            Logic.OR,
            (
                Filter("Amount", FilterOperator.BETWEEN, (Decimal("1.10"), 2**60)),
                Filter("Day", FilterOperator.RELATIVE, relative=RelativePeriod(TimeGrain.DAY, 7)),
            ),
            negated=True,
        ),
    )
    assert (query.limit, query.offset, query.grouping) == (5, None, Grouping.ROLLUP)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (query_pb2.Query(where=[query_pb2.FilterNode(filter=query_pb2.Filter(field="A"))]), "where[0].op"),
        (query_pb2.Query(where=[query_pb2.FilterNode()]), "where[0]"),
        (query_pb2.Query(limit=-1), "limit"),
        (query_pb2.Query(offset=-1), "offset"),
        (query_pb2.Query(grouping=99), "grouping"),  # type: ignore[arg-type]
        (
            query_pb2.Query(
                where=[
                    query_pb2.FilterNode(
                        filter=query_pb2.Filter(
                            field="A", op=query_pb2.FILTER_OPERATOR_EQUALS, values=[query_pb2.Value(decimal="x")]
                        )
                    )
                ]
            ),
            "where[0].values[0]",
        ),
    ],
)
def test_what_has_no_meaning_is_refused_with_its_place(message: query_pb2.Query, path: str) -> None:
    with pytest.raises(read_query.UnreadableMessageError) as refused:
        read_query.read_query_message(message)
    assert refused.value.path == path


def test_a_limit_of_no_rows_asks_for_the_columns_alone() -> None:
    assert read_query.read_query_message(query_pb2.Query(limit=0)).limit == 0


SCALARS = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False),
    "text": st.text(),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False),
    "date": st.dates(),
    "timestamp": st.datetimes(),
}


@given(st.data())
def test_every_scalar_keeps_its_type_and_value(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(SCALARS)))
    value = data.draw(SCALARS[kind])
    sent = str(value) if kind == "decimal" else value.isoformat() if kind in {"date", "timestamp"} else value
    message = query_pb2.Query(
        having=[
            query_pb2.FilterNode(
                filter=query_pb2.Filter(
                    field="A", op=query_pb2.FILTER_OPERATOR_EQUALS, values=[query_pb2.Value(**{kind: sent})]
                )
            )
        ]
    )
    (node,) = read_query.read_query_message(message).having
    assert isinstance(node, Filter)
    assert (type(node.values[0]), node.values[0]) == (type(value), value)


def test_a_diagnostic_keeps_everything() -> None:
    span = Span(1, 2, 3, 4)
    context = {"names": ["a", 1, None], "when": dt.date(2026, 1, 2)}
    message = convert.diagnostic_message(
        Diagnostic("CODE", "text", "a.b[0]", Severity.WARNING, "hint", context, ("near",), span)
    )
    assert (message.code, message.severity, message.path) == ("CODE", diagnostic_pb2.SEVERITY_WARNING, "a.b[0]")
    assert (message.hint, list(message.suggestions), message.span.end_column) == ("hint", ["near"], 4)
    assert message.context["when"] == "2026-01-02"


def test_diagnostics_that_do_not_fit_are_counted_and_errors_come_first() -> None:
    many = [Diagnostic(f"W{n}", "x" * 100, severity=Severity.WARNING) for n in range(200)]
    error = Diagnostic("E", "broken")
    status = service_status(ServiceError(Reason.MODEL_INVALID, "no", diagnostics=[*many, error]))
    assert status.ByteSize() < DETAIL_BYTES + 1000
    listed = diagnostic_pb2.Diagnostics()
    assert any(detail.Unpack(listed) for detail in status.details)
    assert listed.diagnostics[0].code == "E"
    assert len(listed.diagnostics) + listed.omitted == 201


def test_a_defect_tells_its_request_and_nothing_else() -> None:
    status = to_status(RuntimeError("secret /etc/passwd"), "id-1")
    assert status.message == "Internal server error"
    assert b"secret" not in status.SerializeToString()
    assert b"id-1" in status.SerializeToString()
