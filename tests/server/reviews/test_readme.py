"""The table of promises names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMED = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", (Path(__file__).parent / "README.md").read_text(encoding="utf-8"))


def test_every_named_test_exists():
    defined = {
        file: {n.name for n in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(n, ast.FunctionDef)}
        for file in {file for file, _ in NAMED}
    }
    assert [f"{file}::{name}" for file, name in NAMED if name not in defined[file]] == []
    assert len(NAMED) > 40
