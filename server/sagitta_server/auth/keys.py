"""Where verification keys come from: a shared secret, or a JSON Web Key Set in a file or behind a URL."""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import jwt

from sagitta_server.auth.errors import AuthenticationError

ASYMMETRIC = ("RS256", "ES256")
_KEY_TYPES = {"RS256": "RSA", "ES256": "EC"}
_DEV_SECRET = Path("auth") / "dev-secret"
_REFETCH_SECONDS = 10.0
_TELL_SECONDS = 10.0
_PAUSE_SECONDS = 5.0

log = logging.getLogger(__name__)


class KeySource(Protocol):
    """Finds the key that a token's header asks for; refuses algorithms it was not made for."""

    def key_for(self, header: Mapping[str, Any]) -> tuple[Any, str]:
        """Returns the key and the one algorithm it may be used with."""
        ...


class SharedSecret:
    """One HS256 secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def key_for(self, header: Mapping[str, Any]) -> tuple[Any, str]:
        if header.get("alg") != "HS256":
            raise AuthenticationError("The token is not signed with HS256.")
        return self._secret, "HS256"


class KeySet:
    """RS256 and ES256 keys of a JWKS document, read again when it ages or names an unknown key.

    While one caller reads, those whose key is known go on with what is there. A place that does not answer is asked
    again after a pause, not by every caller, each of whom would wait for its timeout; the keys it gave stay.
    """

    def __init__(self, read: Callable[[], str], max_age: float, *, pause: float = 0.0) -> None:
        self._read = read
        self._max_age = max_age
        self._pause = pause
        self._reading = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._failed_at = float("-inf")

    def key_for(self, header: Mapping[str, Any]) -> tuple[Any, str]:
        algorithm = header.get("alg")
        if algorithm not in ASYMMETRIC:
            raise AuthenticationError("The token is not signed with RS256 or ES256.")
        key = self._find(header.get("kid"))
        if key is None or key.key_type != _KEY_TYPES[algorithm]:
            raise AuthenticationError("The token is signed with an unknown key.")
        return key.key, algorithm

    def _find(self, kid: str | None) -> jwt.PyJWK | None:
        if self._is_due(kid) and self._reading.acquire(blocking=kid not in self._keys):
            try:
                if self._is_due(kid):  # nobody has read them meanwhile
                    self._refresh()
            finally:
                self._reading.release()
        keys = self._keys
        if not keys:
            raise AuthenticationError("The keys that verify tokens cannot be read right now.")
        return next(iter(keys.values())) if kid is None and len(keys) == 1 else keys.get(kid)

    def _is_due(self, kid: str | None) -> bool:
        now = time.monotonic()
        age = now - self._read_at
        aged = age > self._max_age or (kid not in self._keys and age > _REFETCH_SECONDS)
        return aged and now - self._failed_at >= self._pause

    def _refresh(self) -> None:
        try:
            self._keys = _verifying(json.loads(self._read())["keys"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
            if time.monotonic() - self._failed_at > _TELL_SECONDS:
                log.warning("the keys that verify tokens cannot be read: %s", error)
            self._failed_at = time.monotonic()
        else:
            self._read_at = time.monotonic()


def _verifying(entries: Iterable[dict[str, Any]]) -> dict[str | None, jwt.PyJWK]:
    """The keys of a set that verify signatures, by id; what cannot be used is passed over (RFC 7517, section 5)."""
    keys = {}
    for entry in entries:
        if entry.get("kty") not in _KEY_TYPES.values() or entry.get("use", "sig") != "sig":
            continue
        try:
            keys[entry.get("kid")] = jwt.PyJWK(entry)
        except jwt.PyJWTError as error:
            log.debug("a key of the set cannot be used: %s", type(error).__name__)
    return keys


def key_set_from_file(path: Path, max_age: float) -> KeySet:
    """Keys of a JWKS file; the file may be replaced while the server runs."""
    return KeySet(lambda: path.read_text(encoding="utf-8"), max_age)


def key_set_from_url(url: str, max_age: float) -> KeySet:
    """Keys behind a JWKS URL, fetched with a short timeout and without following redirects."""
    import httpx  # noqa: PLC0415 (a large library that no other way of signing needs)

    def read() -> str:
        try:
            answer = httpx.get(url, timeout=5.0, follow_redirects=False)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise OSError(f"their address does not answer as it should ({type(error).__name__})") from error
        return answer.text

    return KeySet(read, max_age, pause=_PAUSE_SECONDS)


def dev_secret(data_dir: Path) -> str:
    """The random secret of this data directory, made on first use and readable by its owner only."""
    path = data_dir / _DEV_SECRET
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _settled_secret(path)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
    return _settled_secret(path)


def _settled_secret(path: Path) -> str:
    for _ in range(100):  # another process may have created the file and not yet written it
        text = path.read_text(encoding="ascii")
        if text.endswith("\n"):
            return text.strip()
        time.sleep(0.01)
    raise OSError(f"the token secret {path.name} is incomplete; delete it to make a new one")
