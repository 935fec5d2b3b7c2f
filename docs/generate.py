"""Fills the parts of the docs that the code knows better: between `<!-- NAME -->` and `<!-- /NAME -->`.

python docs/generate.py            writes them
python docs/generate.py --check    writes nothing, exits 1 when one is out of date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from sagitta_server.cli.settings import as_markdown

DOCS = Path(__file__).parent

PARTS: Mapping[str, tuple[str, Callable[[], str]]] = {"settings": ("configuration.md", as_markdown)}
"""Each part, the page that holds it and what makes it."""


def filled(page: str, name: str, part: str) -> str:
    """Returns the page with the part in its place."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    text, found = pattern.subn(lambda match: f"{match[1]}\n{part.strip()}\n\n{match[2]}", page)
    if found != 1:
        raise SystemExit(f"the page has {found} places for {name}, not one")
    return text


def main() -> int:
    """Writes or checks; returns the exit code."""
    stale = 0
    for name, (page, make) in PARTS.items():
        path = DOCS / page
        before = path.read_text(encoding="utf-8")
        after = filled(before, name, make())
        if before == after:
            continue
        if "--check" in sys.argv[1:]:
            print(f"{page} is out of date: run `make docs`", file=sys.stderr)
            stale = 1
        else:
            path.write_text(after, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
