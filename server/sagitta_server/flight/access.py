"""Who calls, and in which session: one light middleware, because it runs for every call."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any

from pyarrow import flight
from sagitta.flight.v1 import ticket_pb2 as pb

from sagitta_server.auth import ANONYMOUS, KEY_HOLDER, AuthenticationError, Authenticator, Principal
from sagitta_server.config import AccessSettings
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.flight.errors import flight_error
from sagitta_server.flight.tickets import Signer
from sagitta_server.observability.metrics import CALLS
from sagitta_server.rpc.access import REQUEST_ID, new_request_id

log = logging.getLogger("sagitta.flight")
MIDDLEWARE = "sagitta"
SESSION_COOKIE = "arrow_flight_session_id"
TOKEN_SECONDS = 86_400

Headers = dict[str, list[str]]

CODES: dict[type, str] = {
    flight.FlightUnauthenticatedError: "UNAUTHENTICATED",
    flight.FlightUnauthorizedError: "PERMISSION_DENIED",
    flight.FlightUnavailableError: "UNAVAILABLE",
    flight.FlightTimedOutError: "DEADLINE_EXCEEDED",
    flight.FlightCancelledError: "CANCELLED",
    flight.FlightInternalError: "INTERNAL",
}
"""The codes of Flight's exceptions; there is no class for the others, which are UNKNOWN on the wire too."""


class NoHandshake(flight.ServerAuthHandler):  # type: ignore[misc]
    """Lets the Handshake pass: the headers of the call say who it is, and the answer's headers hold the token."""

    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        """Reads nothing."""

    def is_valid(self, token: bytes) -> bytes:
        """The middleware has decided already."""
        return b""


class Caller(flight.ServerMiddleware):  # type: ignore[misc]
    """One call: the principal, the session and what to do when it ends."""

    def __init__(
        self, identity: Principal, headers: Headers, session: pb.Session | None, answer: dict[str, str], method: str
    ) -> None:
        super().__init__()
        self.request_id = answer[REQUEST_ID]
        self.told: dict[str, object] = {"request_id": self.request_id}
        """What the log is told beside the line about the call."""
        self.identity = identity
        self.principal = identity.user_id
        """To whom tickets, handles and cookies are bound."""
        self.headers = headers
        self.session = session
        """What the session's cookie holds."""
        self._answer = answer
        self._method = method
        self._started = time.perf_counter()
        self._at_end: list[Callable[[], None]] = []
        self._at_success: list[Callable[[], None]] = []

    def at_end(self, function: Callable[[], None]) -> None:
        """Calls a function when the call has ended, however it ends."""
        self._at_end.append(function)

    def at_success(self, function: Callable[[], None]) -> None:
        """Calls a function when the call has ended and its client has everything."""
        self._at_success.append(function)

    def sending_headers(self) -> dict[str, str]:
        return self._answer

    def call_completed(self, exception: Exception | None) -> None:
        for function in reversed(self._at_end):
            function()
        if exception is None:
            for function in self._at_success:
                function()
        code = "OK" if exception is None else CODES.get(type(exception), "UNKNOWN")
        seconds = time.perf_counter() - self._started
        CALLS.labels("flight", self._method, code).observe(seconds)
        level = logging.DEBUG if code in {"OK", "CANCELLED"} else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "%s %s %.1f ms", self._method, code, seconds * 1000, extra=self.told)


class Access(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Authenticates calls by Basic, Bearer or x-api-key, and keeps the session's cookie."""

    def __init__(
        self, settings: AccessSettings, authenticator: Authenticator, signer: Signer, session_seconds: int
    ) -> None:
        super().__init__()
        self._session_seconds = session_seconds
        self._settings = settings
        self._authenticator = authenticator
        self._signer = signer
        self._keys = tuple(key.get_secret_value().encode() for key in settings.api_keys)

    def start_call(self, info: Any, headers: Headers) -> Caller:
        request_id = (headers.get(REQUEST_ID) or [""])[0][:128] or new_request_id()
        try:
            identity, token = self._authenticate(headers)
        except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a Flight error
            told = flight_error(error, request_id)
        else:
            answer = {REQUEST_ID: request_id}
            if token is not None:
                answer["authorization"] = f"Bearer {token}"
            session = self._session(headers, identity.user_id)
            if session is not None and session.expires_at - self._signer.now() < self._session_seconds / 2:
                answer["set-cookie"] = session_cookie(self._signer, session, self._session_seconds)
            return Caller(identity, headers, session, answer, info.method.name)
        CALLS.labels("flight", info.method.name, CODES.get(type(told), "UNKNOWN")).observe(0)
        raise told from None

    def _session(self, headers: Headers, principal: str) -> pb.Session | None:
        cookie = _cookie(headers)
        return None if cookie is None else self._signer.session(cookie, principal)

    def _authenticate(self, headers: Headers) -> tuple[Principal, str | None]:
        """Returns who calls, and the token to answer a login with."""
        header = (headers.get("authorization") or [""])[0]
        scheme, _, credential = header.partition(" ")
        if scheme.lower() == "basic":
            return self._login(_password(credential))
        if self._settings.mode == "none":
            return ANONYMOUS, None
        if self._settings.mode == "jwt":
            return self._authenticator.authenticate(header), None
        if scheme.lower() == "bearer":
            issued = self._signer.token_principal(credential.strip(), self._keys)
            if issued is not None:
                return Principal(issued, frozenset()), None
        given = (headers.get(self._settings.api_key_header.lower()) or [""])[0]
        return self._by_key(given or (credential.strip() if scheme.lower() == "bearer" else "")), None

    def _login(self, password: str) -> tuple[Principal, str | None]:
        """A password is an API key or a JWT, by the mode; the answer's token stands for it from then on.

        Where nobody is asked for a password, the token stands for none, and opens nothing when one is asked for later.
        """
        match self._settings.mode:
            case "none":
                return ANONYMOUS, self._signer.token(ANONYMOUS.user_id, TOKEN_SECONDS, b"")
            case "jwt":
                return self._authenticator.authenticate(f"Bearer {password}"), password
            case "api_key":
                holder = self._by_key(password)
                return holder, self._signer.token(holder.user_id, TOKEN_SECONDS, password.encode())

    def _by_key(self, given: str) -> Principal:
        if not given:
            raise AuthenticationError("Log in with an API key: as password, as bearer token, or as x-api-key.")
        matches = [hmac.compare_digest(given.encode(), key) for key in self._keys]
        if not any(matches):
            raise ServiceError(Reason.UNAUTHENTICATED, "The API key is not valid.")
        return KEY_HOLDER


def session_cookie(signer: Signer, session: pb.Session, lifetime_seconds: int) -> str:
    """Returns the cookie that holds a session from now on; any replica with the same secret reads it."""
    session.expires_at = int(signer.now()) + lifetime_seconds
    return f"{SESSION_COOKIE}={signer.sign_text(session)}; Path=/; HttpOnly"


CLOSED_COOKIE = f"{SESSION_COOKIE}=closed; Path=/; HttpOnly; Max-Age=0"
"""Takes the cookie back."""


def _password(credential: str) -> str:
    """The user's name beside it does not count."""
    try:
        _, colon, password = base64.b64decode(credential, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise AuthenticationError("The Basic credential is malformed.") from error
    if not colon:
        raise AuthenticationError("The Basic credential is malformed.")
    return password


def _cookie(headers: Headers) -> str | None:
    for text in headers.get("cookie") or ():
        try:
            found = SimpleCookie(text).get(SESSION_COOKIE)
        except CookieError:
            continue
        if found is not None and found.value:
            return found.value
    return None
