"""The authenticated caller."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sagitta_server.auth.errors import PermissionDeniedError


class Permission(StrEnum):
    """Permissions that operations ask for; `all` on the command line stands for every one of them."""

    SESSION_READ = "dataset:session:read"
    SESSION_MANAGE = "dataset:session:manage"
    EXECUTION_LAUNCH = "dataset:execution:launch"
    SEMANTICS_PUBLISH = "dataset:semantics:publish"


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone whose token was verified."""

    user_id: str
    """The token's `sub`."""
    permissions: frozenset[str]
    """Union of the claims `permissions`, `scope` and the configured permissions of `roles`."""
    token_id: str | None = None
    """The token's `jti`, kept in audit records."""
    expires_at: datetime | None = None
    """When the token ends (UTC); streams stop then."""
    roles: frozenset[str] = frozenset()
    """The token's `roles`, for row policies of models."""
    claims: tuple[tuple[str, tuple[str | int | float | bool, ...]], ...] = ()
    """The token's claims that are scalars or lists of scalars, for row policies of models."""

    @property
    def policy_key(self) -> str:
        """Tells apart the callers of whom row policies may know different things."""
        return repr((self.claims, sorted(self.roles)))

    def require(self, *permissions: str) -> None:
        """Raises `PermissionDeniedError` unless the caller holds every permission."""
        missing = tuple(p for p in permissions if p not in self.permissions)
        if missing:
            raise PermissionDeniedError(missing)


ANONYMOUS = Principal(user_id="anonymous", permissions=frozenset())
"""Whoever calls where no credential is asked for."""

KEY_HOLDER = Principal(user_id="api-key", permissions=frozenset())
"""Whoever holds an API key: a key says nothing else about its holder."""
