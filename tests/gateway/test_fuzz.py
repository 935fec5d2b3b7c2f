"""schemathesis against the running gateway: no 500, no undocumented status, no body that breaks its schema."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from gateway.serving import MODEL, Serving, serving
from gateway.serving import settings as server_settings
from hypothesis import HealthCheck, Phase, settings
from sagitta_gateway.app import create_app
from sagitta_gateway.config import GatewaySettings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

EXAMPLES = int(os.environ.get("SAGITTA_FUZZ_EXAMPLES", "10"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server of its own: what is left behind here must not meet other tests."""
    with serving(server_settings(tmp_path_factory.mktemp("fuzz"))) as running:
        yield running


@pytest.fixture(scope="module")
def known(served: Serving) -> dict[str, str]:
    """A session and a model that exist, so that calls get further than 404."""
    session = served.client.post("/v1/sessions").json()["session_id"]
    loaded = served.client.post(f"/v1/sessions/{session}/models", json={"model_yaml": MODEL}).json()
    return {"session_id": session, "model_id": loaded["model_id"]}


document = create_app(GatewaySettings()).openapi()
schema = schemathesis.openapi.from_dict(document).exclude(path_regex="(?i)review|dataset")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_documented(case: Any, served: Serving, known: dict[str, str]) -> None:
    if case.method != "DELETE":
        for name in known.keys() & case.path_parameters.keys():
            case.path_parameters[name] = known[name]
        if isinstance(case.body, dict) and "model_id" in case.body:
            case.body["model_id"] = known["model_id"]
    # Whether a model or a query means something cannot be said by a schema: what fits it may be refused with 422.
    # The engine reads queries leniently (both spellings of a key, null for absent): what does not fit may be taken.
    case.call_and_validate(
        base_url=str(served.client.base_url),
        excluded_checks=[positive_data_acceptance, negative_data_rejection],
        timeout=60,
    )
