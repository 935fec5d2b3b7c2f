"""Settings: every documented name, their precedence, and that they cannot be changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from sagitta_server.config import CONFIG_FILE, DOCUMENTED, Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any setting."""
    for name in list(os.environ):
        if name in DOCUMENTED or name.startswith(("SAGITTA_", "DUCKDB_", "POSTGRES_", "DREMIO_", "SNOWFLAKE_")):
            monkeypatch.delenv(name)
    return monkeypatch


SAMPLES: dict[str, tuple[str, Any]] = {
    "LOG_LEVEL": ("DEBUG", "DEBUG"),
    "LOG_FORMAT": ("cloudrun", "json"),
    "AUTH_MODE": ("jwt", "jwt"),
    "API_KEYS": ("a" * 22 + "bcdefghijklm", None),
    "API_KEY_HEADER": ("X-Key", "X-Key"),
    "HEARTBEAT_AUTH_TOKEN": ("secret", None),
    "DISABLE_SESSION_LIST": ("true", True),
    "MODEL_FILES": ("a.yaml, b.yaml", ("a.yaml", "b.yaml")),
    "MODEL_DIR": ("/models", Path("/models")),
    "QUERY_EXECUTE": ("false", False),
    "DEFAULT_LOCALE": ("de", "de"),
    "DB_VENDOR": ("snowflake", "snowflake"),
    "FLIGHT_ENABLED": ("false", False),
    "CACHE_BACKEND": ("file", "file"),
    "CACHE_DIR": ("/cache", Path("/cache")),
    "CACHE_UNKNOWN_FRESHNESS_POLICY": ("default_ttl", "default_ttl"),
}
"""Values for names that do not take a number."""


def read(settings: Settings, path: tuple[str, ...]) -> Any:
    value: Any = settings
    for key in path:
        value = getattr(value, key)
    return value


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_documented_name_is_read(clean: pytest.MonkeyPatch, name: str) -> None:
    text, expected = SAMPLES.get(name, ("77", 77))
    clean.setenv(name, text)
    value = read(Settings(), DOCUMENTED[name])
    if expected is not None:
        assert value == expected
    else:
        assert value


def test_flags_win_over_nested_names_over_documented_names_over_the_file(
    clean: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "sagitta.toml"
    file.write_text(
        "[sessions]\nttl_seconds = 1\nmax_sessions = 1\nmax_age_seconds = 1\ncleanup_interval_seconds = 1\n"
    )
    clean.setenv(CONFIG_FILE, str(file))
    clean.setenv("SESSION_TTL_SECONDS", "2")
    clean.setenv("SESSION_MAX_AGE_SECONDS", "2")
    clean.setenv("MAX_SESSIONS", "2")
    clean.setenv("SAGITTA_SESSIONS__TTL_SECONDS", "3")
    clean.setenv("SAGITTA_SESSIONS__MAX_SESSIONS", "3")
    sessions = Settings(sessions={"ttl_seconds": 4}).sessions
    assert sessions.ttl_seconds == 4
    assert sessions.max_sessions == 3
    assert sessions.max_age_seconds == 2
    assert sessions.cleanup_interval_seconds == 1


@pytest.mark.parametrize(
    ("environment", "uri", "dialect"),
    [
        ({"DUCKDB_DATABASE": "/data/x.duckdb"}, "duckdb:////data/x.duckdb", "duckdb"),
        (
            {
                "DB_VENDOR": "postgres",
                "POSTGRES_HOST": "db",
                "POSTGRES_USER": "me",
                "POSTGRES_PASSWORD": "p@ss/word",
                "POSTGRES_DBNAME": "shop",
            },
            "postgresql://me:p%40ss%2Fword@db:5432/shop",
            "postgres",
        ),
        ({"DB_VENDOR": "dremio", "DREMIO_HOST": "lake"}, "grpc://lake:32010", "dremio"),
    ],
)
def test_the_warehouse_of_a_vendor(
    clean: pytest.MonkeyPatch, environment: dict[str, str], uri: str, dialect: str
) -> None:
    for name, value in environment.items():
        clean.setenv(name, value)
    source = Settings().sources["default"]
    assert (source.uri, source.dialect) == (uri, dialect)


def test_nothing_can_be_changed() -> None:
    settings = Settings()

    def check(model: BaseModel) -> None:
        for name in type(model).model_fields:
            with pytest.raises(ValidationError):
                setattr(model, name, getattr(model, name))
            if isinstance(value := getattr(model, name), BaseModel):
                check(value)

    check(settings)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(sesions={"ttl_seconds": 4})
    with pytest.raises(ValidationError):
        Settings(sessions={"ttl": 4})


def test_secrets_are_not_shown() -> None:
    settings = Settings(access={"heartbeat_token": "hush-hush"})
    assert "hush-hush" not in repr(settings)
