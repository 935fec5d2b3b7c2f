"""Queries with thousands of mistakes: each is told, and costs what one costs."""

from __future__ import annotations

import time

import pytest
from sagitta_compiler import CompileError, compile_query, load_model, read_query
from sagitta_compiler.diagnostics import MAX_COMPARISONS, Diagnostic
from sagitta_compiler.model.resolved import ResolvedModel

MEASURES = 100


@pytest.fixture(scope="module")
def model() -> ResolvedModel:
    measures = "".join(f"  Sum {at}: {{expression: '{{[T].[A]}}', aggregation: sum}}\n" for at in range(MEASURES))
    model = load_model(
        f"dataObjects: {{T: {{code: t, columns: {{A: {{abstractType: int}}}}}}}}\nmeasures:\n{measures}"
    ).model
    assert model is not None
    return model


def mistakes(model: ResolvedModel, count: int) -> tuple[Diagnostic, ...]:
    query, _ = read_query({"select": {"measures": [f"Sun {at}" for at in range(count)]}})
    assert query is not None
    with pytest.raises(CompileError) as raised:
        compile_query(model, query)
    return raised.value.diagnostics


def test_names_are_suggested_for_the_first_of_a_great_many_mistakes(model: ResolvedModel) -> None:
    compared = MAX_COMPARISONS // MEASURES
    found = mistakes(model, compared + 10)
    assert len(found) == compared + 10
    assert found[1].suggestions[0] == "Sum 1"
    assert found[-1].suggestions == ()


def test_many_mistakes_cost_what_each_of_them_costs(model: ResolvedModel) -> None:
    def seconds(count: int) -> float:
        started = time.process_time()
        assert len(mistakes(model, count)) == count
        return time.process_time() - started

    seconds(10)
    assert seconds(16_000) < 10 * seconds(4_000)
