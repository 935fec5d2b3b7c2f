"""Real systems that tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest
from harness.scheduling import SurvivingScheduling
from hypothesis import HealthCheck, settings
from superset.install import VERSION, installation
from superset.server import Superset, start
from xdist.remote import Producer

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
"""How long an example takes says how busy the machine is, and nothing about the code."""


@pytest.fixture(scope="session")
def superset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    """A real Superset with the shop in it; tests that use it are marked `xdist_group("superset")`, so there is one."""
    made = installation()
    if not made.is_complete:
        pytest.skip(f"Superset {VERSION} is not installed; `make superset` installs it")
    running = start(made, tmp_path_factory.mktemp("superset"))
    yield running
    running.stop()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SurvivingScheduling | None:
    """A process of the tests that dies fails its test; it does not hang the run."""
    return SurvivingScheduling(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration a missing tool fails its tests: skipped in silence, they would hold nothing."""
    report = yield
    reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
    missing = "not installed" in reason and "Superset" not in reason
    if os.environ.get("CI") and report.skipped and missing and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: {reason.removeprefix('Skipped: ')}, and CI needs it"
    return report
