"""Every mistake in a model has its code, its place and its hint; the texts are golden (`--snapshot-update`)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sagitta_compiler import LoadedModel, load_model
from sagitta_compiler.codes import CODES, Stage
from syrupy.assertion import SnapshotAssertion

CASES = Path(__file__).parent / "diagnostics"
NAMES = sorted(path.stem for path in CASES.glob("*.yaml"))
WITHOUT_A_CASE = {"TOO_MANY_FINDINGS"}
"""Held by the fuzz tests."""
MODEL_STAGES = {Stage.TEXT, Stage.DOCUMENT, Stage.MODEL, Stage.EXPRESSION, Stage.MERGE, Stage.MODEL_WARNING}


def load_case(name: str) -> LoadedModel:
    """Loads a case; `#file: NAME` begins the text of a further file."""
    main, *others = re.split(r"^#file: (.+)\n", (CASES / f"{name}.yaml").read_text(), flags=re.MULTILINE)
    return load_model(main, name="model.yaml", files=dict(zip(others[::2], others[1::2], strict=True)))


@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_is_answered_as_documented(name: str, snapshot: SnapshotAssertion) -> None:
    loaded = load_case(name)
    code = name.split(".", maxsplit=1)[0]

    assert code in {d.code for d in loaded.diagnostics}
    assert (loaded.model is None) == bool(loaded.errors)
    text = "\n\n".join(loaded.render(d) for d in loaded.diagnostics) + "\n"
    assert text == snapshot


@pytest.mark.parametrize("name", NAMES)
def test_one_mistake_gives_one_kind_of_answer(name: str) -> None:
    """A mistake does not drag unrelated findings behind it."""
    assert {d.code for d in load_case(name).diagnostics} == {name.split(".", maxsplit=1)[0]}


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_has_a_hint(name: str) -> None:
    assert [d.message for d in load_case(name).diagnostics if not d.hint] == []


def test_every_code_of_a_model_has_a_case() -> None:
    codes = {name for name, code in CODES.items() if code.stage in MODEL_STAGES}

    assert codes - {name.split(".")[0] for name in NAMES} == WITHOUT_A_CASE


def test_the_compiler_gives_no_code_that_the_table_lacks() -> None:
    folder = Path(load_model.__code__.co_filename).parents[1]
    given = {
        found
        for path in folder.rglob("*.py")
        for found in re.findall(
            r'(?:error|warning|unknown|problem|Diagnostic|_error|_problem|refused)\(\s*"([A-Z_]{5,})"', path.read_text()
        )
    }

    assert given - CODES.keys() == set()
    assert len(given) > 60
