"""Fills the parts of the docs that the code knows better: between `<!-- NAME -->` and `<!-- /NAME -->`; and files.

python docs/generate.py            writes them
python docs/generate.py --check    writes nothing, exits 1 when one is out of date
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from sagitta_compiler.codes import codes_as_markdown
from sagitta_compiler.expressions.catalogue import catalogue_as_markdown
from sagitta_compiler.schema import model_schema, query_schema
from sagitta_gateway.config import PREFIX, GatewaySettings
from sagitta_gateway.errors import STATUS
from sagitta_server.cli.settings import as_markdown, text_of
from sagitta_server.reviews.catalogue import CATALOGUE
from sagitta_server.reviews.errors import HTTP_STATUS, grpc_status

DOCS = Path(__file__).parent
REASONS = DOCS.parent / "protos" / "sagitta" / "semantic" / "v1" / "error_reason.proto"
RECORDED = DOCS.parent / "tests" / "server" / "flight" / "recorded"

CLIENTS: Mapping[str, str] = {
    "adbc": "ADBC (Python)",
    "sqlalchemy": "SQLAlchemy",
    "jdbc": "JDBC",
    "go": "arrow-go",
    "rust": "arrow-flight (Rust)",
    "node": "gizmosql-client (Node)",
}
"""Each recorded client and its name in the docs."""


def clients_as_markdown() -> str:
    """Which commands and actions each client sent in its recorded conversation."""
    said = {name: _commands(json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))) for name in CLIENTS}
    lines = ["| command or action | " + " | ".join(CLIENTS.values()) + " |", "| --- " * (len(CLIENTS) + 1) + "|"]
    lines += [
        f"| {command} | " + " | ".join("yes" if command in said[name] else "" for name in CLIENTS) + " |"
        for command in sorted(set().union(*said.values()))
    ]
    return "\n".join(lines)


def _commands(calls: Any) -> set[str]:
    found = set()
    for call in calls:
        described = call.get("command") or (call.get("ticket") if isinstance(call.get("ticket"), dict) else None) or {}
        name = call.get("type") or described.get("type", "")
        found.add(("DoPut of " if call["call"] == "do_put" else "") + name.removeprefix("Command"))
    return found - {""}


def reasons_as_markdown() -> str:
    """The reasons of refused calls, in the words of the contract."""
    lines = ["| reason | gRPC | HTTP | what it means |", "| --- | --- | --- | --- |"]
    stated = re.findall(r"((?: *//[^\n]*\n)+) *ERROR_REASON_(\w+) = [1-9]\d*;", REASONS.read_text(encoding="utf-8"))
    for comment, reason in stated:
        words = " ".join(line.strip().removeprefix("//").strip() for line in comment.strip().splitlines())
        code, _, meaning = words.partition(": ")
        meaning = re.sub(r" \(REST answers \d+\)", "", meaning)
        lines.append(f"| `{reason}` | `{code}` | {STATUS.get(reason, 500)} | {meaning[:1].upper()}{meaning[1:]} |")
    return "\n".join(lines)


def review_codes_as_markdown() -> str:
    """The error codes of reviews, by status."""
    groups: dict[tuple[int, str], list[str]] = {}
    for code, status in HTTP_STATUS.items():
        groups.setdefault((status, grpc_status(code)), []).append(f"`{code}`")
    lines = ["| HTTP | gRPC | `error_code` |", "| --- | --- | --- |"]
    return "\n".join(lines + [f"| {http} | `{grpc}` | {' '.join(codes)} |" for (http, grpc), codes in groups.items()])


def findings_as_markdown() -> str:
    """The findings of reviews."""
    lines = ["| finding | severity | what it says |", "| --- | --- | --- |"]
    return "\n".join(lines + [f"| `{code}` | {kind.severity} | {kind.title} |" for code, kind in CATALOGUE.items()])


def gateway_as_markdown() -> str:
    """The settings of the gateway, which are no part of the engine's."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in GatewaySettings.model_fields.items():
        aliases = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else ()
        variables = [str(alias) for alias in aliases if str(alias) != name] or [f"{PREFIX}{name.upper()}"]
        default = f"`{text}`" if (text := text_of(field.default)) else ""
        meaning = " ".join((field.description or "").split())
        lines.append(f"| {'<br>'.join(f'`{variable}`' for variable in variables)} | {default} | {meaning} |")
    return "\n".join(lines)


PARTS: Mapping[str, tuple[str, Callable[[], str]]] = {
    "settings": ("configuration.md", as_markdown),
    "gateway": ("configuration.md", gateway_as_markdown),
    "codes": ("errors.md", codes_as_markdown),
    "reasons": ("errors.md", reasons_as_markdown),
    "review-codes": ("errors.md", review_codes_as_markdown),
    "findings": ("errors.md", findings_as_markdown),
    "functions": ("model-language.md", catalogue_as_markdown),
    "clients": ("flight-sql.md", clients_as_markdown),
}
"""Each part, the page that holds it and what makes it."""

SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "schema/model.schema.json": model_schema,
    "schema/query.schema.json": query_schema,
}
"""Each file that is generated as a whole, and what makes it."""


def filled(page: str, name: str, part: str) -> str:
    """Returns the page with the part in its place."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    text, found = pattern.subn(lambda match: f"{match[1]}\n{part.strip()}\n\n{match[2]}", page)
    if found != 1:
        raise SystemExit(f"the page has {found} places for {name}, not one")
    return text


def wanted() -> Mapping[str, str]:
    """Returns the text that each file should have."""
    texts = {name: json.dumps(make(), indent=2, ensure_ascii=False) + "\n" for name, make in SCHEMAS.items()}
    for name, (page, make) in PARTS.items():
        before = texts.get(page) or (DOCS / page).read_text(encoding="utf-8")
        texts[page] = filled(before, name, make())
    return texts


def main() -> int:
    """Writes or checks; returns the exit code."""
    stale = 0
    for page, text in wanted().items():
        path = DOCS / page
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in sys.argv[1:]:
            print(f"{page} is out of date: run `make docs`", file=sys.stderr)
            stale = 1
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
