"""`sagitta settings`: every setting, its name in the environment, what it is now and what it is for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import click

NAME = "<name>"
"""Stands for the name that the reader gives to one of many, e.g. to a review environment."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `section` is the group it belongs to, empty for the top level."""

    section: str
    name: str
    variable: str
    documented: str
    default: str
    meaning: str

    @property
    def path(self) -> tuple[str, ...]:
        return (self.section, self.name) if self.section else (self.name,)


@click.command("settings")
@click.option("--markdown", is_flag=True, help="Print the defaults as docs/configuration.md has them.")
def command(*, markdown: bool) -> None:
    """Show every setting, by its name in the environment, with the value that it has here and now.

    Secrets are masked. A setting comes from a flag, else from the environment (SAGITTA_GROUP__NAME, or the short name
    that the REST reference documents), else from the TOML file that SAGITTA_CONFIG names, else it has its default.
    """
    if markdown:
        click.echo(as_markdown(), nl=False)
        return
    from sagitta_server.config import read_settings

    current = read_settings()
    for setting in all_settings():
        if NAME in setting.section.split("__"):
            continue
        value = text_of(value_at(current, setting.path))
        changed = "" if value == setting.default else f"   (default {setting.default or 'empty'})"
        click.echo(f"{setting.variable}={value}{changed}")
        click.echo(f"    {setting.meaning}" + (f" Also {setting.documented}." if setting.documented else ""))


def all_settings() -> Iterator[Setting]:
    """Yields every setting in the order of the code; those of a warehouse are named once, for the default source."""
    from pydantic import BaseModel

    from sagitta_server.config import Settings

    defaults = Settings.model_construct()
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from members(name, section, getattr(defaults, name))
        elif name == "sources":
            (source_name, source), *_ = defaults.sources.items()
            yield from members(f"sources__{source_name}", type(source), source)
        else:
            yield setting_of("", name, field, getattr(defaults, name))


def members(section: str, kind: Any, value: Any) -> Iterator[Setting]:
    """Yields the settings of a group, and of the groups in it."""
    from pydantic import BaseModel

    groups: list[tuple[str, Any, Any]] = []
    for name, field in kind.model_fields.items():
        inner = getattr(value, name, None)
        if isinstance(inner, BaseModel):
            groups.append((f"{section}__{name}", type(inner), inner))
            continue
        yield setting_of(section, name, field, inner)
        named = next((a for a in get_args(field.annotation) if isinstance(a, type) and issubclass(a, BaseModel)), None)
        if get_origin(field.annotation) is dict and named is not None:
            groups.append((f"{section}__{name}__{NAME}", named, named.model_construct()))
    for group in groups:
        yield from members(*group)


def setting_of(section: str, name: str, field: Any, default: object) -> Setting:
    """Returns one setting as the docs show it."""
    from sagitta_server.config import DOCUMENTED

    path = (section, name) if section else (name,)
    documented = next((variable for variable, place in DOCUMENTED.items() if place == path), "")
    variable = "SAGITTA_" + "__".join(path).upper()
    return Setting(section, name, variable, documented, text_of(default), " ".join((field.description or "").split()))


def value_at(settings: Any, path: tuple[str, ...]) -> object:
    """Returns a setting's value by its path."""
    for name in path:
        for part in name.split("__"):
            settings = settings.get(part) if isinstance(settings, dict) else getattr(settings, part, None)
    return settings


def text_of(value: object) -> str:
    """Returns a value as one writes it in the environment; secrets stay masked."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case dict():
            return ", ".join(f"{key}={text_of(item)}" for key, item in value.items())
        case tuple() | list():
            return ",".join(map(text_of, value))
        case _:
            return str(value)


def as_markdown() -> str:
    """Returns one table per group."""
    lines: list[str] = []
    section: str | None = None
    for setting in all_settings():
        if setting.section != section:
            section = setting.section
            title = section.removesuffix("__default").replace("__", ".") or "general"
            lines += ["", f"### `{title}`", "", "| variable | default | meaning |", "| --- | --- | --- |"]
        names = f"`{setting.variable}`" + (f"<br>`{setting.documented}`" if setting.documented else "")
        default = f"`{setting.default}`" if setting.default else ""
        lines.append(f"| {names} | {default} | {setting.meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines).strip() + "\n"
