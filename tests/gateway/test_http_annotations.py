"""The `google.api.http` options of the semantic services name exactly the routes that the gateway serves."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import sagitta.review.v1
import sagitta.semantic.v1
from google.api import annotations_pb2, http_pb2
from sagitta.semantic.v1 import error_reason_pb2
from sagitta_gateway.app import create_app
from sagitta_gateway.config import GatewaySettings
from sagitta_gateway.errors import STATUS
from sagitta_server.errors import CODES, Reason

ONLY_GRPC = {"PolledQueryService"}
"""Services that say in their comment why they have no REST paths."""


def _bindings(rule: http_pb2.HttpRule) -> set[tuple[str, str]]:
    verb = rule.WhichOneof("pattern")
    found = {(verb.upper(), re.sub(r"\{(\w+)=[^}]*\}", r"{\1}", getattr(rule, verb)))}
    for more in rule.additional_bindings:
        found |= _bindings(more)
    return found


def annotated(package: ModuleType) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.endswith("_service_pb2"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                rule = method.GetOptions().Extensions[annotations_pb2.http]
                if not rule.WhichOneof("pattern"):
                    own = package is not sagitta.semantic.v1 or service.name in ONLY_GRPC
                    assert own, f"{method.full_name} has no path"
                    continue
                for binding in _bindings(rule):
                    assert binding not in found, f"{binding} is named by {found[binding]} and {method.full_name}"
                    found[binding] = method.full_name
    return found


def served() -> set[tuple[str, str]]:
    paths = create_app(GatewaySettings()).openapi()["paths"]
    return {(method.upper(), path) for path, operations in paths.items() for method in operations}


def test_every_annotated_path_is_served() -> None:
    assert set(annotated(sagitta.semantic.v1)) - served() == set()


def test_every_route_is_annotated() -> None:
    review = {path for _, path in annotated(sagitta.review.v1)}
    routes = {route for route in served() if route[1] not in review}
    assert routes - set(annotated(sagitta.semantic.v1)) == set()


def test_every_reason_has_a_code_and_a_status() -> None:
    documented = {
        name.removeprefix("ERROR_REASON_")
        for name in list(error_reason_pb2.ErrorReason.keys())
        if "UNSPECIFIED" not in name
    }
    assert documented == {reason.value for reason in Reason}
    assert documented == {reason.value for reason in CODES}
    assert documented == set(STATUS)


def test_the_documentation_names_every_operation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "rest.md").read_text()
    tails = {[part for part in path.split("/") if "{" not in part][-1] for path, _ in _semantic_paths()}
    assert sorted(tail for tail in tails if tail not in text) == []


def _semantic_paths() -> set[tuple[str, str]]:
    return {(path, method) for method, path in annotated(sagitta.semantic.v1)}
