"""Queries on the demo's model that the docs and the help show: each of them compiles."""

import json
import re
from pathlib import Path

import pytest
from click import Context
from harness import tpch
from sagitta_compiler import load_model, read_query
from sagitta_server.cli import COMMANDS, cli
from sagitta_server.cli.models import NamedModel, compiled, usable
from sagitta_server.reference import DOCUMENTS

ROOT = Path(__file__).parents[2]
SQL = re.compile(
    r"""(?:'|\"{3})(SELECT (?:(?!\"{3}|'\n|' ).)+? FROM tpch(?:(?!\"{3}|'\n|' ).)*)(?:'$|' |\"{3})""", re.MULTILINE
)
OBJECT = re.compile(r"""-d '(\{.*?"?select"?.*?\})'""", re.DOTALL)
BODY = re.compile(r"""(?:-d|--data|--json) '(\{.*?\})'""", re.DOTALL)


def shown() -> dict[str, str]:
    """The pages, and the help of each command."""
    pages = {page.name: page.read_text() for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}
    helps = {name: getattr(cli.get_command(Context(cli), name), "help", "") or "" for name in COMMANDS}
    return pages | helps


EXAMPLES = sorted(
    {(name, text) for name, page in shown().items() for text in (*SQL.findall(page), *OBJECT.findall(page))}
)


@pytest.fixture(scope="module")
def model() -> NamedModel:
    return usable(tpch.MODEL)


def test_examples_are_found() -> None:
    assert {"README.md", "query"} <= {name for name, _ in EXAMPLES}


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_shown_query_compiles(model: NamedModel, name: str, text: str) -> None:
    query = compiled(model, text, "duckdb")
    assert query.sql
    assert query.warnings == ()


def test_shown_bodies_are_json() -> None:
    bodies = [body for page in shown().values() for body in BODY.findall(page)]
    assert len(bodies) > 4
    for body in bodies:
        json.loads(body)


def test_examples_of_the_documents_that_the_server_hands_out_are_valid() -> None:
    (model,) = re.findall(r"```yaml\n(.*?)```", DOCUMENTS["obml"].content(), re.DOTALL)
    (query,) = re.findall(r"```yaml\n(.*?)```", DOCUMENTS["query"].content(), re.DOTALL)
    assert load_model(model).diagnostics == ()
    assert read_query(query)[1] == ()
