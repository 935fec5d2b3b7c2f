"""Session options: in a cookie that every replica reads, or remembered for the connection of a client without."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight
from sagitta.flight.sql import Flight_pb2 as fl
from sagitta.flight.sql import FlightSql_pb2 as fs
from sagitta_server.flight.access import SESSION_COOKIE
from sagitta_server.flight.commands import pack

from tests.server.flight.conftest import Start
from tests.server.flight.test_protocol import act, bearer, fetch, info

SHARED = {"secret": "x" * 40}


class Jar(flight.ClientMiddlewareFactory):  # type: ignore[misc]
    """Keeps cookies as drivers do, also from one server to another behind a balancer."""

    def __init__(self) -> None:
        super().__init__()
        self.cookies: dict[str, str] = {}

    def start_call(self, info: Any) -> Any:
        return _Keeper(self)

    def connect(self, engine: Any) -> Any:
        return flight.connect(engine.flight_location, middleware=[self])


class _Keeper(flight.ClientMiddleware):  # type: ignore[misc]
    def __init__(self, jar: Jar) -> None:
        super().__init__()
        self._jar = jar

    def sending_headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._jar.cookies.items())
        return {"cookie": cookies} if cookies else {}

    def received_headers(self, headers: dict[str, list[str]]) -> None:
        for text in headers.get("set-cookie") or ():
            for name, morsel in SimpleCookie(text).items():
                if morsel["max-age"] == "0":
                    self._jar.cookies.pop(name, None)
                else:
                    self._jar.cookies[name] = morsel.value


def set_row_limit(client: Any, limit: int) -> None:
    request = fl.SetSessionOptionsRequest()
    request.session_options["row_limit"].int64_value = limit
    act(client, "SetSessionOptions", request, wrapped=False)


def rows(client: Any, options: Any = None) -> int:
    return int(fetch(client, info(client, options=options).endpoints[0].ticket, options).num_rows)


def test_options_are_known_to_another_replica_and_after_a_restart(start: Start) -> None:
    jar, first = Jar(), start("one", flight=SHARED)
    set_row_limit(jar.connect(first), 1)
    first.stop()
    for folder in ("one", "two"):
        assert rows(jar.connect(start(folder, flight=SHARED))) == 1


def test_what_sql_sets_travels_in_the_cookie_too(start: Start) -> None:
    jar, first, second = Jar(), start("one", flight=SHARED), start("two", flight=SHARED)
    client = jar.connect(first)
    client.get_flight_info(
        flight.FlightDescriptor.for_command(pack(fs.CommandStatementQuery(query="SET row_limit = 1")))
    )
    assert rows(jar.connect(second)) == 1
    command = flight.FlightDescriptor.for_command(pack(fs.CommandStatementUpdate(query="SET row_limit = 0")))
    writer, _ = client.do_put(command, pa.schema([]))
    writer.close()
    assert rows(jar.connect(second)) == 2


def test_a_closed_session_is_forgotten(start: Start) -> None:
    jar, engine = Jar(), start()
    client = jar.connect(engine)
    set_row_limit(client, 1)
    assert jar.cookies
    act(client, "CloseSession", fl.CloseSessionRequest(), wrapped=False)
    assert not jar.cookies
    assert rows(client) == 2


def test_a_forged_an_old_and_a_foreign_cookie_are_no_session(start: Start) -> None:
    from sagitta_server.auth import TokenIssuer

    secret = "s" * 40
    engine = start(
        access={"mode": "jwt"},
        auth={"mode": "hs256", "secret": secret},
        flight={"session_seconds": 60, "connection_sessions": False},
    )
    ann, bob = (bearer(TokenIssuer(secret).issue(name, ())) for name in ("ann", "bob"))
    jar = Jar()
    client = jar.connect(engine)
    request = fl.SetSessionOptionsRequest()
    request.session_options["row_limit"].int64_value = 1
    list(client.do_action(flight.Action("SetSessionOptions", request.SerializeToString()), ann))
    good = jar.cookies[SESSION_COOKIE]
    assert rows(client, ann) == 1
    assert rows(client, bob) == 2, "the session is Ann's"
    fresh = jar.connect(engine)
    jar.cookies[SESSION_COOKIE] = good[:20] + ("A" if good[20] != "A" else "B") + good[21:]
    assert rows(fresh, ann) == 2
    jar.cookies[SESSION_COOKIE] = "%%%"
    assert rows(fresh, ann) == 2
    signer = engine._flight.server.signer
    now = signer.now()
    signer.now = lambda: now + 61
    jar.cookies[SESSION_COOKIE] = good
    assert rows(fresh, ann) == 2


def test_a_cookie_in_use_is_renewed(start: Start) -> None:
    jar, engine = Jar(), start(flight={"session_seconds": 60})
    client = jar.connect(engine)
    set_row_limit(client, 1)
    signer, now = engine._flight.server.signer, engine._flight.server.signer.now()
    for seconds in (40, 80, 120):
        signer.now = lambda seconds=seconds: now + seconds
        assert rows(client) == 1


@pytest.mark.parametrize(("remembered", "expected"), [(True, 1), (False, 2)])
def test_a_client_without_cookies_is_known_by_its_connection(start: Start, remembered: bool, expected: int) -> None:
    engine = start(flight={"connection_sessions": remembered})
    client = flight.connect(engine.flight_location)
    set_row_limit(client, 1)
    assert rows(client) == expected
    assert rows(flight.connect(engine.flight_location, generic_options=[("other", 1)])) == 2
