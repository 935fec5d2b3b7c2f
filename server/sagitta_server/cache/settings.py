"""Settings of the result cache."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MEBIBYTE = 1024 * 1024


class CacheSettings(BaseModel):
    """Where results are kept, for how long, and how many; each is read from `CACHE_` and its name in upper case."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    backend: Literal["noop", "file"] = "noop"
    """`noop` keeps nothing; `file` keeps Arrow files and their index in `dir`."""
    dir: Path = Path("cache")
    """A directory of this machine; several processes may share it."""
    min_ttl_seconds: int = Field(default=5, ge=0)
    """A result that would live shorter is not kept."""
    max_ttl_seconds: int = Field(default=86_400, gt=0)
    """No result lives longer, however fresh its tables stay."""
    max_value_bytes: int = Field(default=10 * MEBIBYTE, gt=0)
    """A result with more Arrow bytes (before compression) is not kept."""
    max_disk_bytes: int = Field(default=5 * 1024 * MEBIBYTE, gt=0)
    """The least recently used results go when the files together hold more."""
    sweep_interval_seconds: int = Field(default=900, gt=0)
    """How often expired results are removed; with several processes one of them does it."""
    unknown_freshness_policy: Literal["no_cache", "default_ttl"] = "no_cache"
    """What to do with a table that has no freshness contract."""
    unknown_freshness_default_ttl: int = Field(default=300, gt=0)
    """The life in seconds that `default_ttl` gives such a table."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_ttl_seconds > self.max_ttl_seconds:
            raise ValueError("CACHE_MIN_TTL_SECONDS must not be greater than CACHE_MAX_TTL_SECONDS")
        return self
