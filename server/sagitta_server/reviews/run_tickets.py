"""Tickets for the rows of a run: signed, bound to a caller, valid for a while, understood by every replica.

A ticket is `SRT1`, the JSON of its claims, and an HMAC-SHA-256 over both.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass

MAGIC = b"SRT1"
_MAC = 32
_MAX = 4096


@dataclass(frozen=True, slots=True)
class RunTicket:
    """Who may read the rows of which run, until when."""

    run_context_id: str
    session_id: str
    principal: str
    sql_sha256: str
    expires_at: int
    """Seconds since 1970 UTC."""


class InvalidTicketError(Exception):
    """The bytes are no ticket of ours, or not valid any more; the message says which."""


class ForeignTicketError(Exception):
    """The ticket was given to somebody else."""


def is_run_ticket(ticket: bytes) -> bool:
    """The bytes claim to be a ticket of a run."""
    return ticket.startswith(MAGIC)


def sign(ticket: RunTicket, key: bytes) -> bytes:
    """The bytes of a ticket."""
    payload = MAGIC + json.dumps(asdict(ticket), separators=(",", ":"), sort_keys=True).encode()
    return payload + hmac.digest(key, payload, "sha256")


def verify(ticket: bytes, key: bytes, principal: str, now: float) -> RunTicket:
    """The claims of a ticket.

    Raises:
        InvalidTicketError, ForeignTicketError: not ours, expired, or given to somebody else.
    """
    if len(ticket) > _MAX or len(ticket) <= len(MAGIC) + _MAC or not is_run_ticket(ticket):
        raise InvalidTicketError("This is not a ticket of this server.")
    payload, mac = ticket[:-_MAC], ticket[-_MAC:]
    if not hmac.compare_digest(mac, hmac.digest(key, payload, "sha256")):
        raise InvalidTicketError("This is not a ticket of this server.")
    claims = RunTicket(**json.loads(payload[len(MAGIC) :]))
    if claims.expires_at <= now:
        raise InvalidTicketError("The ticket has expired; launch the review again.")
    if claims.principal != principal:
        raise ForeignTicketError("The ticket was given to somebody else.")
    return claims


def ticket_key(secret: str) -> bytes:
    """The signing key, derived from the server's secret."""
    return hashlib.sha256(b"sagitta run tickets\x00" + secret.encode()).digest()


def sql_hash(sql: str) -> str:
    """Hash of a text, as tickets and audit records hold it."""
    return hashlib.sha256(sql.encode()).hexdigest()
