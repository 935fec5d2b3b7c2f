"""The name by which a model is addressed, and names that look alike."""

from __future__ import annotations

import pytest
from sagitta_compiler import load_model
from sagitta_compiler.names import near, normalise_model_name


@pytest.mark.parametrize(
    ("name", "normalised"),
    [
        *(("Sales", "sales"), ("Sales Model.v2", "sales_model_v2"), ("a--b..c  d", "a_b_c_d"), ("_x_", "x")),
        *(("shop_obml", "shop"), ("obml_obml", None), ("obml", None), ("model", None), ("", None), ("2024", None)),
        *(("größe", None), ("a" * 63, "a" * 63), ("a" * 64, None), ("__default__", None)),
    ],
)
def test_a_model_name_is_normalised(name: str, normalised: str | None) -> None:
    assert normalise_model_name(name) == normalised


def test_a_model_is_named_by_itself_else_by_its_file() -> None:
    text = "dataObjects: {T: {code: t, columns: {X: {}}}}"

    unnamed, named = load_model(text, name="My Shop"), load_model("name: Own-Name\n" + text, name="file")

    assert unnamed.model is not None
    assert unnamed.model.name == "my_shop"
    assert named.model is not None
    assert named.model.name == "own_name"


@pytest.mark.parametrize("name", ["1st", "information_schema", "a/b"])
def test_a_name_that_cannot_be_addressed_is_refused(name: str) -> None:
    (mistake,) = load_model(f"name: {name}\ndataObjects: {{T: {{code: t, columns: {{X: {{}}}}}}}}").errors

    assert (mistake.code, mistake.path) == ("SCHEMA_VALIDATION", "name")
    assert ("reserved" in (mistake.hint or "")) == (name == "information_schema")


def test_near_names_are_at_most_three_and_the_nearest_comes_first() -> None:
    names = ["Revenue", "Revenues", "Net Revenue", "Average Revenue", "Country"]

    assert near("Revenu", names)[0] == "Revenue"
    assert len(near("Revenu", names)) <= 3
    assert near("Zebra", names) == ()
    assert near("", names) == ()
