"""How much of a dataset is reviewed, and how large texts may be."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LimitSettings(BaseModel):
    """How much of a dataset is reviewed: beyond, the first ones are, with a warning in the profile, never an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    fields: int = Field(default=2000, ge=1)
    """Columns and metrics of one dataset."""
    filters: int = Field(default=200, ge=1)
    """Filters of one dataset."""
    variables: int = Field(default=200, ge=1)
    """Template variables of one dataset."""
    open_questions: int = Field(default=25, ge=1)
    """Questions that are open at once, the most important ones; further ones follow as these are answered."""
    template_bytes: int = Field(default=1_048_576, ge=1)
    """Size of a template that is searched for variables; a larger one blocks the preview."""
    source_bytes: int = Field(default=16_384, ge=1)
    """Size of the link or selection that starts a review; a larger one is refused."""
    preview_bytes: int = Field(default=1_048_576, ge=1)
    """Size of a compiled text; a larger one is a failed preview."""


DEFAULT_LIMITS = LimitSettings()
