"""Tickets and prepared-statement handles: signed, self-contained, bound to a principal, expiring.

They hold all that is needed to run, so any replica with the same secret serves them, also after a restart and as often
as a client retries. They come back from clients: nothing in them counts before the signature was checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message
from sagitta.flight.v1 import ticket_pb2 as pb

from sagitta_server.auth import AuthenticationError
from sagitta_server.auth.keys import dev_secret
from sagitta_server.errors import Reason, ServiceError

if TYPE_CHECKING:
    from sagitta_server.flight.settings import FlightSettings

SECRET_FOLDER = "flight"  # noqa: S105 - the folder's name
KEY_ID_CHARACTERS = 12
TICKET_REFUSED = "TICKET_REFUSED"
"""In the details of a refusal: the client has to ask for a new ticket."""
_Payload = TypeVar("_Payload", pb.Ticket, pb.PreparedStatement, pb.PolledQuery)


class Signer:
    """Signs messages with HMAC-SHA-256 and checks them when they come back."""

    def __init__(self, secret: str, *, now: Callable[[], float] = time.time) -> None:
        self._secret = hashlib.sha256(b"sagitta flight v1\0" + secret.encode()).digest()
        self._key_id = hashlib.sha256(self._secret).hexdigest()[:KEY_ID_CHARACTERS]
        self.now = now

    def sign(self, message: Message) -> bytes:
        """Returns the message with its signature."""
        payload = message.SerializeToString()
        kind = message.DESCRIPTOR.full_name
        return pb.Signed(
            payload=payload, signature=self._signature(kind, payload), key_id=self._key_id
        ).SerializeToString()

    def ticket(self, body: bytes, principal: str) -> pb.Ticket:
        """Reads a ticket.

        Raises:
            ServiceError: it was not made here or has expired.
            AuthenticationError: it was given to someone else.
        """
        return self._read(body, pb.Ticket, principal)

    def prepared(self, body: bytes, principal: str) -> pb.PreparedStatement:
        """Reads a prepared-statement handle; raises what `ticket` raises."""
        return self._read(body, pb.PreparedStatement, principal)

    def polled(self, body: bytes, principal: str) -> pb.PolledQuery:
        """Reads the ticket of a polled query; raises what `ticket` raises."""
        return self._read(body, pb.PolledQuery, principal)

    def sign_text(self, message: Message) -> str:
        """Returns the message with its signature in characters that a cookie may hold."""
        return base64.urlsafe_b64encode(self.sign(message)).rstrip(b"=").decode()

    def session(self, text: str, principal: str) -> pb.Session | None:
        """Reads a session's cookie; None when it is foreign, forged or expired: then there is no session."""
        try:
            body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            signed = pb.Signed.FromString(body)
            if not hmac.compare_digest(
                signed.signature, self._signature(pb.Session.DESCRIPTOR.full_name, signed.payload)
            ):
                return None
            session = pb.Session.FromString(signed.payload)
        except (ValueError, binascii.Error, DecodeError):
            return None
        return session if session.principal == principal and session.expires_at > self.now() else None

    def token(self, principal: str, lifetime_seconds: int, key: bytes) -> str:
        """Issues a bearer token for a principal who has shown this key; it is good for as long as the key is."""
        ticket = pb.Ticket(
            principal=principal,
            expires_at=int(self.now()) + lifetime_seconds,
            query_id=secrets.token_bytes(16),
        )
        payload = ticket.SerializeToString()
        signature = self._signature(_standing_for(key), payload)
        signed = pb.Signed(payload=payload, signature=signature, key_id=self._key_id)
        return "sgt_" + signed.SerializeToString().hex()

    def token_principal(self, token: str, keys: Iterable[bytes]) -> str | None:
        """Returns whose token it is; None for a token of another kind.

        Raises:
            AuthenticationError: it is one of ours, but forged or expired, or stands for none of the keys.
        """
        if not token.startswith("sgt_"):
            return None
        try:
            signed = pb.Signed.FromString(bytes.fromhex(token[4:]))
            ticket = pb.Ticket.FromString(signed.payload)
        except (ValueError, DecodeError) as error:
            raise AuthenticationError("The token is malformed.") from error
        expected = [self._signature(_standing_for(key), signed.payload) for key in keys]
        if not any([hmac.compare_digest(signed.signature, each) for each in expected]):  # noqa: C419 (each is compared, whichever matches)
            raise AuthenticationError(
                "The token is not from this server, or its key is no longer accepted; log in again."
            )
        if ticket.expires_at < self.now():
            raise AuthenticationError("The token has expired; log in again.")
        return ticket.principal

    def _read(self, body: bytes, kind: type[_Payload], principal: str) -> _Payload:
        try:
            signed = pb.Signed.FromString(body)
            expected = self._signature(kind.DESCRIPTOR.full_name, signed.payload)
            if not hmac.compare_digest(signed.signature, expected):
                raise _refused("The ticket was not made by this server; ask again.")
            message = kind.FromString(signed.payload)
        except DecodeError as error:
            raise _refused("The ticket is malformed; ask again.") from error
        if message.principal != principal:
            raise ServiceError(Reason.PERMISSION_DENIED, "The ticket was given to someone else.")
        if message.expires_at < self.now():
            raise _refused("The ticket has expired; ask again.")
        return message

    def _signature(self, kind: str, payload: bytes) -> bytes:
        return hmac.digest(self._secret, kind.encode() + b"\0" + payload, "sha256")


def _standing_for(key: bytes) -> str:
    return f"token {hashlib.sha256(key).hexdigest()}"


def _refused(message: str) -> ServiceError:
    return ServiceError(Reason.INVALID_REQUEST, message, metadata={"code": TICKET_REFUSED})


def open_signer(settings: FlightSettings, data_dir: Path) -> Signer:
    """Returns the signer of a server: with the secret of its settings, or one that is kept in its data directory."""
    if settings.secret is not None:
        return Signer(settings.secret.get_secret_value())
    return Signer(dev_secret(data_dir / SECRET_FOLDER))
