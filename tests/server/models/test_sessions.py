"""Sessions and their models in both state databases: how they live, expire, and outlive a process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from sagitta_server.config import SessionSettings, Settings
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.models import CompiledModels, ModelSource, ModelStore, SessionStore
from sagitta_server.models import sessions as sessions_module
from sagitta_server.models.curated import CuratedModels
from sagitta_server.state import Database, open_database
from server.execution.postgres import PostgresServer, start_postgres

MODEL = "version: 1.0\ndataObjects: {T: {code: t, columns: {A: {code: a, abstractType: int}}}}\n"
PLAIN = ModelSource(MODEL)


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer | None]:
    server = start_postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    if server is not None:
        server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer | None) -> Iterator[Database]:
    if request.param == "postgres" and postgres is None:
        pytest.skip("PostgreSQL is not installed")
    url = f"sqlite:///{tmp_path / 'state.db'}" if request.param == "sqlite" else postgres.uri  # type: ignore[union-attr]
    opened = open_database(url)
    with opened.write() as connection:
        for table in ("semantic_models", "semantic_model_contents", "semantic_sessions"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(database: Database, clock: Clock, **limits: int) -> tuple[ModelStore, SessionStore]:
    values = {"ttl_seconds": 100, "max_age_seconds": 1000, "tombstone_seconds": 500, "rate_limit": 0} | limits
    settings = Settings(sessions=SessionSettings(**values))
    sessions = SessionStore(database, settings.sessions, now=clock)
    compiled = CompiledModels(8)
    return ModelStore(settings, sessions, compiled, CuratedModels(settings.models, compiled)), sessions


def reason(raised: pytest.ExceptionInfo[ServiceError]) -> Reason:
    return raised.value.reason


def test_access_slides_the_idle_time_but_not_the_age(database: Database, clock: Clock) -> None:
    models, _ = opened(database, clock)
    session = models.create_session({})
    for _ in range(12):
        clock.now += 90
        if clock.now < 1_000_000 + 1000:
            assert models.session(session.session_id).created_at == session.created_at
    with pytest.raises(ServiceError) as expired:
        models.session(session.session_id)
    assert reason(expired) is Reason.SESSION_EXPIRED


def test_an_expired_session_is_known_as_such_for_a_while_then_unknown(database: Database, clock: Clock) -> None:
    models, sessions = opened(database, clock)
    session_id = models.create_session({}).session_id
    models.load(session_id, PLAIN)
    clock.now += 101
    for _ in range(3):
        with pytest.raises(ServiceError) as expired:
            models.resolve(session_id, PLAIN.plain_id)
        assert reason(expired) is Reason.SESSION_EXPIRED
    assert sessions.sweep() == 0
    with pytest.raises(ServiceError) as expired:
        models.session(session_id)
    assert reason(expired) is Reason.SESSION_EXPIRED
    clock.now += 600
    assert sessions.sweep() == 1
    with pytest.raises(ServiceError) as unknown:
        models.session(session_id)
    assert reason(unknown) is Reason.SESSION_NOT_FOUND
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM semantic_model_contents").scalar_one() == 0


def test_expired_sessions_are_not_listed_and_do_not_count(database: Database, clock: Clock) -> None:
    models, _ = opened(database, clock, max_sessions=2)
    first = models.create_session({"n": "1"})
    models.create_session({"n": "2"})
    assert [session.metadata["n"] for session in models.list_sessions()] == ["1", "2"]
    with pytest.raises(ServiceError) as full:
        models.create_session({})
    assert (reason(full), full.value.retry_after_seconds) == (Reason.TOO_MANY_SESSIONS, 60)
    clock.now += 60
    models.session(first.session_id)
    clock.now += 60
    assert [session.metadata["n"] for session in models.list_sessions()] == ["1"]
    models.create_session({"n": "3"})


def test_a_client_that_opens_sessions_too_quickly_is_told_to_wait(database: Database, clock: Clock) -> None:
    models, _ = opened(database, clock, rate_limit=2)
    for _ in range(2):
        models.create_session({}, "10.0.0.1")
    with pytest.raises(ServiceError) as limited:
        models.create_session({}, "10.0.0.1")
    assert (reason(limited), limited.value.retry_after_seconds) == (Reason.SESSION_RATE_LIMITED, 60)
    models.create_session({}, "10.0.0.2")
    clock.now += 61
    models.create_session({}, "10.0.0.1")


def test_clients_that_have_gone_are_not_remembered(database: Database, clock: Clock, monkeypatch) -> None:
    monkeypatch.setattr(sessions_module, "REMEMBERED", 3)
    models, sessions = opened(database, clock, rate_limit=1)
    for number in range(10):
        models.create_session({}, client=f"10.0.0.{number}")
        clock.now += 61
    assert len(sessions._creations) <= 4


def test_two_replicas_together_open_no_more_sessions_than_are_allowed(database: Database, clock: Clock) -> None:
    replicas = [opened(database, clock, max_sessions=5)[0] for _ in range(2)]

    def create(number: int) -> Reason | None:
        try:
            replicas[number % 2].create_session({})
        except ServiceError as refused:
            return refused.reason
        return None

    with ThreadPoolExecutor(16) as pool:
        assert Counter(pool.map(create, range(32))) == {None: 5, Reason.TOO_MANY_SESSIONS: 27}


def test_equal_models_are_loaded_at_once_while_replicas_sweep(database: Database, clock: Clock) -> None:
    (one, sweeping), (other, _) = opened(database, clock, max_sessions=100), opened(database, clock, max_sessions=100)
    names = [one.create_session({}).session_id for _ in range(24)]

    def load(number: int) -> None:
        store = (one, other)[number % 2]
        loaded = store.load(names[number], PLAIN)
        assert store.resolve(names[number], loaded.handle.model_id).model.objects
        store.remove(names[number], loaded.handle.model_id)
        sweeping.sweep()

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(load, range(24))) == [None] * 24


def test_a_session_holds_so_many_models_and_a_reused_one_does_not_count(database: Database, clock: Clock) -> None:
    models, _ = opened(database, clock, max_models_per_session=2)
    session_id = models.create_session({}).session_id
    models.load(session_id, PLAIN)
    models.load(session_id, PLAIN, dedup=False)
    assert models.load(session_id, PLAIN).reused
    with pytest.raises(ServiceError) as full:
        models.load(session_id, PLAIN, dedup=False)
    assert reason(full) is Reason.TOO_MANY_MODELS
    models.remove(session_id, PLAIN.plain_id)
    assert not models.load(session_id, PLAIN).reused


def test_a_restart_finds_sessions_and_models(database: Database, clock: Clock) -> None:
    models, _ = opened(database, clock)
    session_id = models.create_session({"user": "alice"}).session_id
    loaded = models.load(session_id, ModelSource(MODEL, extends=("description: more",)))
    restarted, _ = opened(database, clock)
    session = restarted.session(session_id)
    assert (session.metadata, session.model_count) == ({"user": "alice"}, 1)
    handle = restarted.resolve(session_id)
    assert (handle.model_id, handle.content_key) == (loaded.handle.model_id, loaded.handle.content_key)
    assert handle.model.about.description == "more"


def test_a_sibling_sees_what_was_loaded_and_closed_within_a_second(database: Database, clock: Clock) -> None:
    here, _ = opened(database, clock)
    there, _ = opened(database, clock)
    session_id = here.create_session({}).session_id
    assert there.session(session_id).model_count == 0
    here.load(session_id, PLAIN)
    clock.now += 1.1
    assert there.resolve(session_id, PLAIN.plain_id).model.objects.keys() == {"T"}
    here.close_session(session_id)
    clock.now += 1.1
    with pytest.raises(ServiceError) as closed:
        there.session(session_id)
    assert reason(closed) is Reason.SESSION_NOT_FOUND


def test_a_sibling_keeps_a_session_alive(database: Database, clock: Clock) -> None:
    here, _ = opened(database, clock)
    there, _ = opened(database, clock)
    session_id = here.create_session({}).session_id
    for _ in range(5):
        clock.now += 60
        there.session(session_id)
    assert here.session(session_id).session_id == session_id


def test_equal_content_is_compiled_once_for_all_sessions(database: Database, clock: Clock) -> None:
    models, _ = opened(database, clock)
    handles = [models.load(models.create_session({}).session_id, PLAIN).handle for _ in range(3)]
    assert len({id(handle.loaded) for handle in handles}) == 1
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM semantic_model_contents").scalar_one() == 1


def test_without_a_name_the_only_model_is_meant(database: Database, clock: Clock) -> None:
    models, _ = opened(database, clock)
    with pytest.raises(ServiceError) as nothing:
        models.resolve()
    assert reason(nothing) is Reason.NO_MODEL
    first, second = (models.create_session({}).session_id for _ in range(2))
    models.load(first, PLAIN)
    assert models.resolve().session_id == first
    models.load(second, PLAIN)
    with pytest.raises(ServiceError) as several:
        models.resolve()
    assert reason(several) is Reason.AMBIGUOUS_MODEL
    with pytest.raises(ServiceError) as nameless:
        models.resolve("", PLAIN.plain_id)
    assert reason(nameless) is Reason.INVALID_REQUEST


def test_the_live_models_are_asked_for_once_a_second(database: Database, clock: Clock) -> None:
    (models, store), (sibling, sibling_store) = opened(database, clock), opened(database, clock)
    first, second = (models.create_session({}).session_id for _ in range(2))

    def loaded(limit: int | None = None) -> list[str]:
        return [model.model_id for _, model in store.live_models(limit)]

    assert loaded() == []
    one = sibling.load(first, PLAIN).handle.model_id
    assert loaded() == [one], "that there is none is never believed"
    two = sibling.load(second, PLAIN, dedup=False).handle.model_id
    assert loaded() == [one]
    three = models.load(second, PLAIN, dedup=False).handle.model_id
    assert loaded() == [one, two, three], "an own change is seen at once"
    store.close(first)
    assert loaded(1) == [two]
    sibling_store.close(second)
    clock.now += 1.1
    assert loaded() == []


def test_the_live_models_end_with_their_session(database: Database, clock: Clock) -> None:
    models, store = opened(database, clock)
    models.load(models.create_session({}).session_id, PLAIN)
    clock.now += 99.5
    assert len(store.live_models()) == 1
    clock.now += 0.6
    assert store.live_models() == ()
