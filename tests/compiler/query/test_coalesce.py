"""The members of a coalesced dimension agree in what they declare and in what they hold."""

from __future__ import annotations

import pytest
from sagitta_compiler import CompileError, compile_query, load_model
from sagitta_compiler.query.query import CoalesceItem, Query

MODEL = """
version: 1.0
dataObjects:
  Sales:
    code: sales
    schema: s
    columns:
      Name: {code: name, abstractType: string}
      Other Name: {code: other_name, abstractType: string}
      Day: {code: day, abstractType: date}
      Whole: {code: whole, abstractType: int}
      Share: {code: share, abstractType: float}
dimensions:
  Name: {dataObject: Sales, column: Name}
  Other Name: {dataObject: Sales, column: Other Name}
  Day: {dataObject: Sales, column: Day}
  Declared Day: {dataObject: Sales, column: Day, resultType: date}
  Whole: {dataObject: Sales, column: Whole}
  Share: {dataObject: Sales, column: Share}
"""


def compiled(*members: str) -> str:
    model = load_model(MODEL).model
    assert model is not None
    return compile_query(model, Query(dimensions=(CoalesceItem(members, "Either"),))).sql


@pytest.mark.parametrize("members", [("Name", "Other Name"), ("Whole", "Share")])
def test_members_with_values_of_one_kind_are_coalesced(members: tuple[str, str]) -> None:
    assert "COALESCE(" in compiled(*members)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (("Name", "Day"), "values of different types: date, string"),
        (("Whole", "Name", "Share"), "values of different types: float, int, string"),
        (("Day", "Declared Day"), "different types: date, string"),
    ],
)
def test_members_that_disagree_are_refused(members: tuple[str, ...], words: str) -> None:
    with pytest.raises(CompileError) as refused:
        compiled(*members)
    (found,) = refused.value.diagnostics
    assert (found.code, found.path) == ("COALESCE_TYPE_MISMATCH", "select.dimensions[0]")
    assert found.message == f"The members of 'Either' have {words}"
