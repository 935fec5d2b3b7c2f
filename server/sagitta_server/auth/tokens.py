"""Verifies bearer tokens and, in development, issues them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jwt

from sagitta_server.auth.errors import AuthenticationError
from sagitta_server.auth.keys import KeySource, SharedSecret, dev_secret, key_set_from_file, key_set_from_url
from sagitta_server.auth.principal import Permission, Principal
from sagitta_server.auth.settings import LEEWAY_SECONDS, AuthSettings

_MAX_TOKEN = 16_384
_MAX_SUBJECT = 255
"""What the state database keeps of a user."""
_PASSING = frozenset({"exp", "iat", "jti", "nbf"})
"""Claims about the token, not about its bearer."""


class Authenticator:
    """Turns an `Authorization` header into a `Principal`."""

    def __init__(self, settings: AuthSettings, keys: KeySource) -> None:
        self._settings = settings
        self._keys = keys

    @classmethod
    def from_settings(cls, settings: AuthSettings, data_dir: Path) -> Authenticator:
        """An authenticator for the configured mode; `dev` keeps its secret in `data_dir`."""
        return cls(settings, _key_source(settings, data_dir))

    def authenticate(self, authorization: str | None) -> Principal:
        """Verifies `Bearer <JWT>`.

        Raises:
            AuthenticationError: the header is absent, malformed, expired, or not signed by a known key.
        """
        token = _bearer_token(authorization)
        try:
            key, algorithm = self._keys.key_for(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub"], "verify_aud": self._settings.audience is not None},
            )
        except jwt.ExpiredSignatureError:
            raise AuthenticationError("The token has expired; get a new one.") from None
        except jwt.PyJWTError:
            raise AuthenticationError("The token is not valid for this server.") from None
        return self._principal(claims, _moment(claims["exp"]))

    def _principal(self, claims: Mapping[str, Any], expires_at: datetime) -> Principal:
        roles = frozenset(_strings(claims.get("roles")))
        granted = set(_strings(claims.get("permissions"))) | set(str(claims.get("scope") or "").split())
        for role in roles:
            granted.update(self._settings.role_permissions.get(role, ()))
        if not 0 < len(claims["sub"]) <= _MAX_SUBJECT:
            raise AuthenticationError(f"The token's sub must have 1 to {_MAX_SUBJECT} characters.")
        return Principal(
            user_id=claims["sub"],
            permissions=frozenset(granted),
            token_id=claims.get("jti") if isinstance(claims.get("jti"), str) else None,
            expires_at=expires_at,
            roles=roles,
            claims=tuple(
                (name, values)
                for name, claim in sorted(claims.items())
                if name not in _PASSING and (values := _scalars(claim))
            ),
        )


class TokenIssuer:
    """Issues HS256 tokens for development and tests."""

    def __init__(self, secret: str, settings: AuthSettings | None = None) -> None:
        self._secret = secret
        self._settings = settings or AuthSettings()

    @classmethod
    def for_data_dir(cls, data_dir: Path) -> TokenIssuer:
        """An issuer whose tokens a server in `dev` mode with the same data directory accepts."""
        return cls(dev_secret(data_dir))

    def issue(
        self,
        subject: str,
        permissions: Iterable[str],
        lifetime_s: int = 86_400,
        extra: Mapping[str, object] = MappingProxyType({}),
    ) -> str:
        """A token for `subject`, valid for `lifetime_s` seconds, with `extra` claims that stand for nothing above."""
        now = int(time.time())
        claims: dict[str, Any] = {
            **extra,
            "sub": subject,
            "permissions": sorted(set(permissions)),
            "iat": now,
            "exp": now + lifetime_s,
            "jti": str(uuid.uuid4()),
        }
        if self._settings.issuer is not None:
            claims["iss"] = self._settings.issuer
        if self._settings.audience is not None:
            claims["aud"] = self._settings.audience
        return jwt.encode(claims, self._secret, algorithm="HS256")


def expand_permissions(text: str) -> tuple[str, ...]:
    """The permissions named by a comma-separated list; `all` means every one that exists.

    Raises:
        ValueError: a name is not a permission; the message lists those that are.
    """
    if text.strip() == "all":
        return tuple(Permission)
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in set(Permission)]
    if unknown or not names:
        raise ValueError(
            f"unknown permission {', '.join(unknown) or '(none)'}; there are: all, {', '.join(Permission)}"
        )
    return names


def _key_source(settings: AuthSettings, data_dir: Path) -> KeySource:
    match settings.mode:
        case "dev":
            return SharedSecret(dev_secret(data_dir))
        case "hs256":
            assert settings.secret is not None
            return SharedSecret(settings.secret.get_secret_value())
        case "jwks":
            if settings.jwks_file is not None:
                return key_set_from_file(settings.jwks_file, settings.jwks_cache_seconds)
            assert settings.jwks_url is not None
            return key_set_from_url(settings.jwks_url, settings.jwks_cache_seconds)


def _bearer_token(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise AuthenticationError("Send the header Authorization: Bearer <token>.")
    if len(token) > _MAX_TOKEN:
        raise AuthenticationError("The token is too long.")
    return token


def _moment(seconds: Any) -> datetime:
    """The end of a token, which PyJWT has read as a number; one beyond the calendar is its last moment."""
    try:
        return datetime.fromtimestamp(int(seconds), tz=UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.max.replace(tzinfo=UTC)


def _scalars(claim: object) -> tuple[str | int | float | bool, ...]:
    items = claim if isinstance(claim, list | tuple) else (claim,)
    found = tuple(item for item in items if isinstance(item, str | int | float | bool))
    return found if len(found) == len(items) else ()


def _strings(claim: object) -> tuple[str, ...]:
    if not isinstance(claim, list | tuple):
        return ()
    return tuple(item for item in claim if isinstance(item, str))
