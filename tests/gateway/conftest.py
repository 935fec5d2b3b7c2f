from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from gateway.serving import MODEL, Serving, serving, settings


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One engine and one gateway for all tests of a worker."""
    with serving(settings(tmp_path_factory.mktemp("served"))) as running:
        yield running


@pytest.fixture(scope="session")
def client(served: Serving) -> httpx.Client:
    return served.client


@dataclass(frozen=True)
class Place:
    """A session with the model."""

    session: str
    model_id: str

    @property
    def model(self) -> str:
        return f"{self.session}/models/{self.model_id}"


@pytest.fixture
def place(client: httpx.Client) -> Iterator[Place]:
    """A session of its own, holding the model; closed afterwards, so that shortcuts stay unambiguous."""
    session = f"/v1/sessions/{client.post('/v1/sessions').json()['session_id']}"
    loaded = client.post(f"{session}/models", json={"model_yaml": MODEL})
    assert loaded.status_code == 201, loaded.text
    yield Place(session, loaded.json()["model_id"])
    client.delete(session)
