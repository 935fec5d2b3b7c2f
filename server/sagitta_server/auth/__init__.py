"""Who is calling and what may they do: bearer tokens, permissions, principals.

Every surface authenticates through `Authenticator.authenticate(authorization_header)`, which returns a `Principal`
or raises `AuthenticationError`. Permission checks are `principal.require(...)`.
"""

from sagitta_server.auth.errors import AuthenticationError, PermissionDeniedError
from sagitta_server.auth.principal import ANONYMOUS, KEY_HOLDER, Permission, Principal
from sagitta_server.auth.settings import AuthSettings
from sagitta_server.auth.tokens import Authenticator, TokenIssuer

__all__ = [
    "ANONYMOUS",
    "KEY_HOLDER",
    "AuthSettings",
    "AuthenticationError",
    "Authenticator",
    "Permission",
    "PermissionDeniedError",
    "Principal",
    "TokenIssuer",
]
