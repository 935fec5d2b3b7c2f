"""How values of variables reach Superset: as filters, URL parameters, a time range, or plain values."""

import pytest
from sagitta_server.reviews.enums import FilterConfidenceState, FilterRecoveryStatus, FilterSource
from sagitta_server.reviews.environment import CompileRequest
from sagitta_server.reviews.json_text import dump
from sagitta_server.reviews.superset.inputs import QueryFilter, boundaries, inputs_of
from sagitta_server.reviews.values import Dataset, Filter, TemplateText

SQL = (
    "SELECT * FROM t WHERE x >= {{ floor | default(1) }} AND s = '{{ url_param('s', 'paid') }}' "
    "{% if filter_values('country') %}AND c IN {{ filter_values('country') | where_in }}{% endif %} "
    "{% if from_dttm %}AND d >= '{{ from_dttm }}'{% endif %}{% if to_dttm %}AND d < '{{ to_dttm }}'{% endif %}"
)


def found(column, operator, value):
    return Filter(
        filter_id=column or operator,
        filter_name=column or "__time_range",
        raw_value=dump(value),
        normalized_value=dump(value),
        source=FilterSource.SUPERSET_NATIVE,
        confidence_state=FilterConfidenceState.IMPORTED,
        recovery_status=FilterRecoveryStatus.RECOVERED,
        operator=operator,
        column_name=column,
    )


def inputs(*filters, stored=None, **values):
    dataset = Dataset("dataset:1", "t", "sha256:", templates=(TemplateText("sql", SQL),))
    if stored is not None:
        dataset = Dataset(
            "dataset:1", "t", "sha256:", templates=(TemplateText("sql", SQL),), template_params=dump(stored)
        )
    given = {name: dump(value) for name, value in values.items()}
    return inputs_of(CompileRequest(dataset, given, filters, "d", 10, "alice"))


def test_a_filter_feeds_the_variable_of_its_name_and_is_sent_once():
    one = inputs(found("country", "IN", ["DE"]), country=["DE"])
    assert one.filters == (QueryFilter("country", "IN", ["DE"]),)
    assert not one.overrides


def test_a_changed_value_replaces_the_filters():
    assert inputs(found("country", "IN", ["DE"]), country=["FR"]).filters == (QueryFilter("country", "IN", ["FR"]),)


def test_a_variable_fed_by_a_filter_of_another_name_is_one_more_filter():
    two = inputs(found("land", "IN", ["DE"]), country=["DE"])
    assert two.filters == (QueryFilter("land", "IN", ["DE"]), QueryFilter("country", "IN", ["DE"]))


def test_a_filter_that_is_not_passed_is_not_sent():
    assert inputs(found("country", "IN", ["DE"]), country=None).filters == ()


def test_a_comparison_that_feeds_a_variable_is_kept():
    kept = inputs(found("country", ">=", "D"), country=["D"])
    assert kept.filters == (QueryFilter("country", ">=", "D"),)


@pytest.mark.parametrize(
    ("stored", "value", "overrides"),
    [(None, 1, False), (None, 2, True), ({"floor": 5}, 5, False), ({"floor": 5}, 1, True), ({"floor": 5}, "5", True)],
)
def test_a_plain_name_needs_another_way_only_with_another_value(stored, value, overrides):
    assert inputs(stored=stored, floor=value).overrides is overrides


def test_url_parameters_are_texts():
    assert inputs(s="new").url_params == {"s": "new"}
    assert inputs(s=12).url_params == {"s": "12"}
    assert inputs(s=None).url_params == {}


def test_the_time_range_is_passed_as_it_is_spelled():
    fixed = found(None, "TEMPORAL_RANGE", {"time_range": "2024-01-01 : 2024-07-01"})
    assert inputs(fixed, from_dttm="2024-01-01", to_dttm="2024-07-01").time_range == "2024-01-01 : 2024-07-01"
    relative = found("d", "TEMPORAL_RANGE", {"time_range": "Last quarter"})
    assert inputs(relative, from_dttm="Last quarter", to_dttm="Last quarter").time_range == "Last quarter"


def test_a_boundary_by_hand_changes_the_range():
    fixed = found(None, "TEMPORAL_RANGE", {"time_range": "2024-01-01 : 2024-07-01"})
    assert inputs(fixed, from_dttm="2024-02-01", to_dttm="2024-07-01").time_range == "2024-02-01 : 2024-07-01"
    assert inputs(from_dttm="2024-02-01").time_range == "2024-02-01 : "
    assert inputs().time_range is None


def test_a_range_on_another_column_is_a_filter_of_its_own():
    other = inputs(found("shipped", "TEMPORAL_RANGE", {"time_range": "Last week"}))
    assert other.filters == (QueryFilter("shipped", "TEMPORAL_RANGE", "Last week"),)
    assert other.time_range is None


def test_boundaries():
    assert boundaries("2024-01-01 : 2024-07-01") == ("2024-01-01T00:00:00", "2024-07-01T00:00:00")
    assert boundaries(" : 2024-07-01T12:30:00") == (None, "2024-07-01T12:30:00")
    assert boundaries("Last quarter") is None
    assert boundaries("2024-01-01 : now") is None
