"""Settings of token verification."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

LEEWAY_SECONDS = 60


class AuthSettings(BaseModel):
    """How bearer tokens are verified; `dev` makes its own secret in the data directory."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    mode: Literal["dev", "hs256", "jwks"] = "dev"
    """`dev`: random secret in the data directory; `hs256`: `secret`; `jwks`: RS256 or ES256 keys from a file or URL."""
    secret: SecretStr | None = None
    """The HS256 secret, at least 32 bytes."""
    jwks_file: Path | None = None
    """A file with the public keys (JWKS)."""
    jwks_url: str | None = None
    """The URL of the public keys (JWKS)."""
    jwks_cache_seconds: float = Field(default=300.0, gt=0)
    """How long keys of a URL are kept."""
    issuer: str | None = None
    """The issuer that a token must name."""
    audience: str | None = None
    """The audience that a token must name."""
    role_permissions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Permissions that each value of the claim `roles` grants."""

    @model_validator(mode="after")
    def _complete(self) -> AuthSettings:
        if self.mode == "hs256" and (self.secret is None or len(self.secret.get_secret_value().encode()) < 32):
            raise ValueError("auth mode hs256 needs a secret of at least 32 bytes")
        if self.mode == "jwks" and (self.jwks_file is None) == (self.jwks_url is None):
            raise ValueError("auth mode jwks needs exactly one of jwks_file and jwks_url")
        return self
