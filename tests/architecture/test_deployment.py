"""The compose file and the image: valid, and in words that the program understands."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from compose_spec import PyCompose
from sagitta_server.cli import cli
from sagitta_server.cli.settings import all_settings
from sagitta_server.config import DOCUMENTED, Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
OURS = ("engine", "gateway")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return document


def test_compose_file_follows_the_specification(compose: dict[str, Any]) -> None:
    plain = {key: value for key, value in compose.items() if not key.startswith("x-")}
    assert set(PyCompose.from_yaml(yaml.safe_dump(plain)).service_names()) == {"engine", "gateway", "postgres"}


def test_docker_accepts_the_compose_file() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("the docker client has no compose here: the specification's own parser is the check")
    secrets = {"SAGITTA_DB_PASSWORD": "x", "SAGITTA_API_KEY": "x" * 32, "PATH": "/usr/local/bin:/usr/bin:/bin"}
    command = [docker, "compose", "--file", str(COMPOSE), "config", "--quiet"]
    run = subprocess.run(command, capture_output=True, text=True, env=secrets, check=False)
    assert run.returncode == 0, run.stderr


def test_every_service_tells_whether_it_is_healthy(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if "healthcheck" not in service] == []


def test_no_secret_is_written_down(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|KEY|SECRET|TOKEN", name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name


def test_settings_of_the_compose_file_exist(compose: dict[str, Any]) -> None:
    known = {setting.variable for setting in all_settings()} | set(DOCUMENTED)
    named = {name for service in OURS for name in compose["services"][service].get("environment", {})}
    assert {name for name in named if not name.startswith("POSTGRES_")} <= known


def test_the_engine_of_the_compose_file_reads_its_environment(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {"SAGITTA_DB_PASSWORD": "pass-word", "SAGITTA_API_KEY": "0123456789abcdef0123456789abcdef"}
    for name, value in compose["services"]["engine"]["environment"].items():
        text = re.sub(r"\$\{(\w+):[-?][^}]*\}", lambda match: secret.get(match[1], ""), value)
        monkeypatch.setenv(name, text)
    settings = Settings()
    assert settings.sources["default"].uri.startswith("postgresql://sagitta:pass-word@postgres:5432/sagitta")
    assert settings.state_url == "postgresql+psycopg://sagitta:pass-word@postgres/sagitta"
    assert settings.access.mode == "api_key"


@pytest.mark.parametrize("service", OURS)
@pytest.mark.parametrize("place", ["command", "healthcheck"])
def test_commands_of_the_compose_file_are_ours(compose: dict[str, Any], service: str, place: str) -> None:
    words = compose["services"][service]["command"]
    if place == "healthcheck":
        words = compose["services"][service]["healthcheck"]["test"][2:]
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None, words[0]
    known = {flag for option in command.params for flag in option.opts}
    if "arguments" not in {option.name for option in command.params}:
        assert {word for word in words[1:] if word.startswith("--")} <= known


def test_the_image_copies_what_there_is() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert copied
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
