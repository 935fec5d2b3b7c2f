"""Where surfaces listen: whether an address is free, and the TLS files of all of them.

Both are found out before a library tries, which would not say why it failed.
"""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

MAX_PORT = 65_535


class ListenError(Exception):
    """An address cannot be listened on, or the TLS files cannot be used; the message says which and why."""


class TlsSettings(BaseModel):
    """TLS of Flight SQL, gRPC and REST alike."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    certificate: Path | None = None
    """PEM file of the server's certificate chain; empty: no TLS."""
    key: Path | None = None
    """PEM file of the certificate's key."""
    client_ca: Path | None = None
    """PEM file of the authority whose client certificates are required; empty: none are."""

    @model_validator(mode="after")
    def _complete(self) -> TlsSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate and its key go together")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("client certificates need a certificate of the server")
        return self


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What the TLS files hold, as PEM."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None = None


def read_tls(settings: TlsSettings) -> TlsFiles | None:
    """The TLS files of the settings; None without TLS.

    Raises:
        ListenError: a file cannot be read, or the key is not the certificate's.
    """
    if settings.certificate is None or settings.key is None:
        return None
    files = TlsFiles(
        _content(settings.certificate),
        _content(settings.key),
        None if settings.client_ca is None else _content(settings.client_ca),
    )
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
        if settings.client_ca is not None:
            context.load_verify_locations(settings.client_ca)
    except (ssl.SSLError, ValueError) as error:
        raise ListenError(
            "The TLS files cannot be used: certificate, key and authority are PEM files, and the key is that of the "
            "certificate and has no password."
        ) from error
    return files


def _no_password() -> str:
    raise ValueError("a key with a password")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ListenError(f"The TLS file {path} cannot be read: {error.strerror}.") from error


def check_free(surface: str, address: str) -> None:
    """Takes the address of a surface (`host:port`) for a moment.

    Raises:
        ListenError: it is taken, unknown, or not one of this machine.
    """
    host, _, written = address.rpartition(":")
    try:
        port = int(written)
        if not 0 <= port <= MAX_PORT:
            raise OSError(errno.EINVAL, f"a port is a number from 0 to {MAX_PORT}")
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not HOST:PORT"
        raise ListenError(f"{surface} cannot listen on {address}: {reason}") from error
