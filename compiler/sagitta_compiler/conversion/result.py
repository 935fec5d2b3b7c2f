"""What a conversion gives, and the two ways in which it fails."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Validation:
    """What two passes over a text found: its shape, then what its names refer to. Every finding is one sentence."""

    schema_errors: tuple[str, ...] = ()
    semantic_errors: tuple[str, ...] = ()
    semantic_warnings: tuple[str, ...] = ()

    @property
    def schema_valid(self) -> bool:
        return not self.schema_errors

    @property
    def semantic_valid(self) -> bool:
        return not self.semantic_errors


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted text; `warnings` name everything that was guessed, or that the other language cannot say.

    `validation` is about the output. `input_validation` is about an OSI input and only advises; an OBML input is valid,
    or there is no conversion.
    """

    output_yaml: str
    warnings: tuple[str, ...]
    validation: Validation
    input_validation: Validation | None = None


class InvalidYamlError(Exception):
    """The input cannot be read, or is no mapping (400)."""


class ConversionError(Exception):
    """The input can be read but not converted (422)."""
