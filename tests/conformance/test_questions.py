"""Business questions: every surface returns, row by row, what hand-written SQL returns."""

import duckdb
import pytest
from conformance.questions import QUESTIONS, Question
from conformance.same import assert_same_rows
from conformance.surfaces import SURFACES
from harness.server import Server


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_answer_equals_hand_written_sql(
    server: Server, warehouse: duckdb.DuckDBPyConnection, question: Question, surface: str
) -> None:
    expected = warehouse.sql(question.reference_sql).fetchall()
    assert expected, "a question without an answer proves nothing"
    assert_same_rows(expected, SURFACES[surface](server, question))
