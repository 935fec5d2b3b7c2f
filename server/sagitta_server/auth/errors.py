"""What can go wrong between a token and a permission."""

from __future__ import annotations

from typing import ClassVar


class AuthenticationError(Exception):
    """No usable token came with the call: HTTP 401, gRPC UNAUTHENTICATED."""

    code: ClassVar[str] = "unauthenticated"


class PermissionDeniedError(Exception):
    """The caller is known but lacks a permission: HTTP 403, gRPC PERMISSION_DENIED."""

    code: ClassVar[str] = "permission_denied"

    def __init__(self, required: tuple[str, ...]) -> None:
        super().__init__(f"This needs the permission {' and '.join(required)}.")
        self.required = required
        """The missing permissions, for the `details` of the answer."""
