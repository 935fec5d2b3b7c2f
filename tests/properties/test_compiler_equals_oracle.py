"""Whatever is asked of whatever model over whatever rows: the SQL gives what the semantics say."""

from __future__ import annotations

import pytest
from hypothesis import given, note
from oracle.database import Database
from oracle.judge import describe, judge
from oracle.queries import Case
from oracle.reduce import as_yaml
from properties.strategies import cases

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
"""Threads of servers that other tests of this process started may draw numbers while a strategy runs."""


@given(case=cases())
def test_compiled_sql_returns_the_rows_of_the_evaluator(database: Database, case: Case) -> None:
    outcome = judge(case, database)
    note(as_yaml(case, "drawn", outcome.reason))
    assert not outcome.verdict.is_disagreement, describe(outcome)
