"""Settings of review environments: what is refused, and that secrets stand in the environment only."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError
from sagitta_server.cli.failures import from_start
from sagitta_server.config import Settings
from sagitta_server.reviews.settings import ReviewSettings
from sagitta_server.reviews.superset.settings import CredentialsError, SupersetSettings, credentials

DOCS = Path(__file__).parents[3] / "docs"
PLAIN = {"base_url": "https://bi.example.com/bi/", "token_env": "BI_TOKEN"}


def test_the_example_of_the_docs_is_valid() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    block = next(b for b in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "environments" in b)
    settings = ReviewSettings.model_validate(tomllib.loads(block)["reviews"])
    production = settings.environments["production"]
    assert production.hosts == {"bi.example.com", "reports.example.com"}
    assert production.trusted_datasets == (12,)


def test_an_environment_can_be_configured_by_variables_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = "SAGITTA_REVIEWS__ENVIRONMENTS__BI__"
    monkeypatch.setenv(f"{prefix}BASE_URL", "https://BI.example.com")
    monkeypatch.setenv(f"{prefix}TOKEN_ENV", "BI_TOKEN")
    monkeypatch.setenv(f"{prefix}LINK_HOSTS", "one.example.com, two.example.com")
    monkeypatch.setenv(f"{prefix}REFERENCE_DATASETS", "1,2")
    found = Settings().reviews.environments["bi"]
    assert found.hosts == {"bi.example.com", "one.example.com", "two.example.com"}
    assert found.reference_datasets == (1, 2)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"base_url": "http://bi.example.com"}, "must be https"),
        ({"base_url": "ftp://bi.example.com"}, "http or https"),
        ({"base_url": "https://me:secret@bi.example.com"}, "credentials"),
        ({"base_url": "https://bi.example.com/?x=1"}, "query"),
        ({"token_env": ""}, "name either"),
        ({"username_env": "U", "password_env": "P"}, "name either"),
        ({"token_env": "", "username_env": "U"}, "belong together"),
        ({"trusted_datasets": [4]}, "no reference_datasets"),
        ({"password": "secret"}, "Extra inputs"),
        ({"timeout_s": 0}, "greater than 0"),
    ],
)
def test_what_cannot_work_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        SupersetSettings.model_validate({**PLAIN, **change})


@pytest.mark.parametrize("url", ["http://127.0.0.1:8088", "http://localhost:8088", "http://[::1]:8088"])
def test_plain_http_is_for_this_machine(url: str) -> None:
    assert SupersetSettings.model_validate({**PLAIN, "base_url": url}).base_url == url


def test_plain_http_elsewhere_has_to_be_permitted() -> None:
    changed = {**PLAIN, "base_url": "http://bi.internal", "allow_plain_http": True}
    assert SupersetSettings.model_validate(changed).host == "bi.internal"


def test_local_is_no_name_of_a_superset() -> None:
    with pytest.raises(ValidationError, match="embedded"):
        ReviewSettings.model_validate({"environments": {"local": PLAIN}})


def test_secrets_come_from_the_named_variables_and_are_not_shown() -> None:
    settings = SupersetSettings.model_validate(PLAIN)
    found = credentials("bi", settings, {"BI_TOKEN": "s3cret"})
    assert found.token == "s3cret"
    assert "s3cret" not in f"{found!r} {settings!r}"


def test_a_missing_secret_is_named() -> None:
    with pytest.raises(CredentialsError, match="BI_TOKEN") as refused:
        credentials("bi", SupersetSettings.model_validate(PLAIN), {})
    told = from_start(refused.value)
    assert told is not None
    assert told.code == "INVALID_SETTING"


@pytest.mark.parametrize(
    ("dictionary", "complaint"),
    [
        ({}, "either a query"),
        ({"query": "SELECT 1", "environment": "bi", "dataset": 1}, "either a query"),
        ({"environment": "bi"}, "either a query"),
        ({"query": "SELECT 1", "dataset": 3}, "either a query"),
        ({"environment": "moon", "dataset": 1}, "no configured environment"),
    ],
)
def test_a_dictionary_comes_from_one_place(dictionary: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ReviewSettings.model_validate({"environments": {"bi": PLAIN}, "dictionaries": {"d": dictionary}})
