"""Calls of Superset's REST API, as a service account.

Only the configured base URL is ever called: redirects are not followed, proxies and credentials of the process
environment are not used. Secrets appear in no message, no log and no `repr`.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from sagitta_server.observability.metrics import SUPERSET_CALLS
from sagitta_server.reviews.json_text import InvalidJsonError, Json, dump, load
from sagitta_server.reviews.superset.settings import Credentials, SupersetSettings

log = logging.getLogger("sagitta.reviews.superset")
_MIB = 1_048_576
_MAX_MESSAGE = 4000

AroundHttp = Callable[[httpx.BaseTransport], httpx.BaseTransport]
"""What is put around the calls themselves."""
Params = Mapping[str, str]


class SupersetError(Exception):
    """A call that failed.

    `code` is one of `superset_unreachable`, `superset_timeout`, `superset_auth_failed`, `superset_forbidden`,
    `not_found` and `superset_error`; `status` is None when there was no answer.
    """

    def __init__(self, status: int | None, code: str, message: str, body: Json = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.body = body

    @property
    def kinds(self) -> frozenset[str]:
        """Superset's own names of what went wrong, e.g. `GENERIC_DB_ENGINE_ERROR`."""
        errors = self.body.get("errors") if isinstance(self.body, dict) else None
        listed = errors if isinstance(errors, list) else []
        return frozenset(str(e.get("error_type")) for e in listed if isinstance(e, dict))


@dataclass(frozen=True, slots=True)
class _Session:
    """What a call carries: made by one login, replaced as a whole."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    csrf_token: str = field(default="", repr=False)


class SupersetClient:
    """A logged-in caller; every method may be called from any thread.

    A call whose token or CSRF token is refused is repeated once after a refresh, or else a new login.
    """

    def __init__(
        self,
        settings: SupersetSettings,
        credentials: Credentials,
        around_http: AroundHttp = lambda transport: transport,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._http = httpx.Client(
            base_url=settings.base_url,
            transport=around_http(httpx.HTTPTransport(verify=_verification(settings), trust_env=False)),
            timeout=settings.timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "application/json", "Referer": settings.base_url},
        )
        self._lock = threading.Lock()
        self._session: _Session | None = None

    @property
    def base_url(self) -> str:
        """Where Superset is, without a slash at the end."""
        return self._settings.base_url

    def close(self) -> None:
        """Ends all connections."""
        self._http.close()

    def get(self, path: str, params: Params | None = None) -> Json:
        """The decoded answer of a GET.

        Raises:
            SupersetError: there is no usable answer.
        """
        return self._call("GET", path, params, None, None)

    def post(self, path: str, body: Json, params: Params | None = None, *, timeout_s: float | None = None) -> Json:
        """The decoded answer of a POST.

        Raises:
            SupersetError: there is no usable answer.
        """
        return self._call("POST", path, params, body, timeout_s)

    def put(self, path: str, body: Json, params: Params | None = None) -> Json:
        """The decoded answer of a PUT.

        Raises:
            SupersetError: there is no usable answer.
        """
        return self._call("PUT", path, params, body, None)

    def get_dataset(self, dataset_id: int) -> dict[str, Json]:
        """A dataset with its columns and metrics.

        Raises:
            SupersetError: `not_found` also when the account may not see it.
        """
        return result_of(self.get(f"/api/v1/dataset/{dataset_id}"))

    def put_dataset(self, dataset_id: int, body: dict[str, Json]) -> None:
        """Writes a dataset; lists of columns and metrics replace the stored ones."""
        self.put(f"/api/v1/dataset/{dataset_id}", body)

    def is_alive(self) -> bool:
        """Superset answers, whoever asks."""
        try:
            answer = self._send("GET", "/health", None, None, {}, None)
        except SupersetError:
            return False
        return answer.status == 200

    def _call(self, method: str, path: str, params: Params | None, body: Json, timeout_s: float | None) -> Json:
        session = self._current(None)
        answer = self._send(method, path, params, body, _headers(session, method), timeout_s)
        if _wants_login(answer):
            session = self._current(session)
            answer = self._send(method, path, params, body, _headers(session, method), timeout_s)
        if answer.status < 300 and answer.is_json:
            return answer.body
        raise _failure(answer)

    def _current(self, refused: _Session | None) -> _Session:
        """The session to use; a new one when there is none, or when this very one was refused."""
        with self._lock:
            if self._session is None or self._session is refused:
                self._session = self._renewed(refused)
            return self._session

    def _renewed(self, refused: _Session | None) -> _Session:
        session = self._refreshed(refused) or self._logged_in()
        answer = self._send("GET", "/api/v1/security/csrf_token/", None, None, _headers(session, "GET"), None)
        if answer.status != 200 or not isinstance(answer.body, dict):
            raise _refused(answer) if answer.status in {401, 403, 422} else _failure(answer)
        return _Session(session.access_token, session.refresh_token, str(answer.body.get("result", "")))

    def _refreshed(self, refused: _Session | None) -> _Session | None:
        if refused is None or not refused.refresh_token:
            return None
        headers = {"Authorization": f"Bearer {refused.refresh_token}"}
        answer = self._send("POST", "/api/v1/security/refresh", None, {}, headers, None)
        token = answer.body.get("access_token") if answer.status == 200 and isinstance(answer.body, dict) else None
        return _Session(str(token), refused.refresh_token) if token else None

    def _logged_in(self) -> _Session:
        held = self._credentials
        if held.token:
            return _Session(held.token, "")
        body: Json = {"username": held.username, "password": held.password, "provider": "db", "refresh": True}
        answer = self._send("POST", "/api/v1/security/login", None, body, {}, None)
        if answer.status in {400, 401, 403, 422}:
            raise _refused(answer)
        if answer.status != 200 or not isinstance(answer.body, dict) or not answer.body.get("access_token"):
            raise _failure(answer)
        return _Session(str(answer.body["access_token"]), str(answer.body.get("refresh_token") or ""))

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: Json,
        headers: Mapping[str, str],
        timeout_s: float | None,
    ) -> _Answer:
        limit = timeout_s or self._settings.timeout_s
        content = None if body is None else dump(body).encode()
        sent = {**headers, **({"Content-Type": "application/json"} if content is not None else {})}
        started = time.monotonic()
        try:
            with self._http.stream(
                method, path, params=dict(params or {}), content=content, headers=sent, timeout=limit
            ) as response:
                data = self._read(response, started + limit)
                answer = _Answer(response.status_code, *_decoded(response, data))
        except httpx.TimeoutException as error:
            self._measure(started, "none")
            raise _timeout(limit) from error
        except (httpx.TransportError, httpx.InvalidURL, httpx.DecodingError) as error:
            self._measure(started, "none")
            reason = type(error).__name__
            raise SupersetError(None, "superset_unreachable", f"Superset cannot be reached ({reason}).") from error
        self._measure(started, str(answer.status))
        log.debug("superset %s %s -> %d in %.3f s", method, path, answer.status, time.monotonic() - started)
        return answer

    def _measure(self, started: float, status: str) -> None:
        SUPERSET_CALLS.labels(self._settings.host, status).observe(time.monotonic() - started)

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        data = bytearray()
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > self._settings.max_response_mib * _MIB:
                limit = self._settings.max_response_mib
                message = f"Superset's answer is larger than {limit} MiB."
                raise SupersetError(response.status_code, "superset_error", message)
            if time.monotonic() > deadline:
                raise _timeout(self._settings.timeout_s)
        return bytes(data)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: Json
    is_json: bool


def result_of(answer: Json) -> dict[str, Json]:
    """The object under `result`.

    Raises:
        SupersetError: the answer is shaped otherwise.
    """
    result = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(result, dict):
        raise SupersetError(200, "superset_error", "Superset's answer has an unknown shape.")
    return result


def results_of(answer: Json) -> list[dict[str, Json]]:
    """The objects listed under `result`.

    Raises:
        SupersetError: the answer is shaped otherwise.
    """
    result = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(result, list):
        raise SupersetError(200, "superset_error", "Superset's answer has an unknown shape.")
    return [item for item in result if isinstance(item, dict)]


def _verification(settings: SupersetSettings) -> bool | ssl.SSLContext:
    if settings.ca_file is None or not settings.verify_tls:
        return settings.verify_tls
    return ssl.create_default_context(cafile=settings.ca_file)


def _headers(session: _Session, method: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {session.access_token}"}
    if method != "GET" and session.csrf_token:
        headers["X-CSRFToken"] = session.csrf_token
    return headers


def _decoded(response: httpx.Response, data: bytes) -> tuple[Json, bool]:
    """Unknown routes and some errors are HTML pages."""
    if "json" not in response.headers.get("content-type", ""):
        return None, False
    try:
        return load(data.decode()), True
    except (InvalidJsonError, UnicodeDecodeError):
        return None, False


def _wants_login(answer: _Answer) -> bool:
    """The token is refused (401; 422 with `msg` when it is broken), or the CSRF token or its cookie is out of date."""
    if answer.status == 401:
        return True
    if answer.status == 422:
        return isinstance(answer.body, dict) and "msg" in answer.body
    return answer.status == 400 and "CSRF" in _message(answer.body)


def _message(body: Json) -> str:
    """What Superset says in any of its shapes of errors."""
    if not isinstance(body, dict):
        return ""
    errors = body.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return str(errors[0].get("message") or "")[:_MAX_MESSAGE]
    for key in ("message", "error", "msg"):
        text = body.get(key)
        if text:
            return (text if isinstance(text, str) else dump(text))[:_MAX_MESSAGE]
    return ""


def _failure(answer: _Answer) -> SupersetError:
    said = _message(answer.body)
    match answer.status:
        case 401 | 422 if answer.status == 401 or _wants_login(answer):
            return _refused(answer)
        case 403:
            return SupersetError(403, "superset_forbidden", said or "Superset forbids this.", answer.body)
        case 404:
            return SupersetError(404, "not_found", said or "Superset does not know this.", answer.body)
        case status if status in {502, 503, 504} or (status >= 500 and not answer.is_json):
            return SupersetError(status, "superset_unreachable", f"Superset answers with status {status}.", answer.body)
        case status if status < 400:
            message = f"Superset answers with status {status} and no JSON; is its address right?"
            return SupersetError(status, "superset_error", message)
        case status:
            return SupersetError(status, "superset_error", said or f"Superset answers with {status}.", answer.body)


def _refused(answer: _Answer) -> SupersetError:
    return SupersetError(answer.status, "superset_auth_failed", "Superset refuses the service account.")


def _timeout(limit: float) -> SupersetError:
    return SupersetError(None, "superset_timeout", f"Superset did not answer within {limit:g} seconds.")
