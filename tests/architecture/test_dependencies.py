"""What may import what, and which versions are tested together."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def bin_path(program: str) -> str:
    """Returns the console script beside the running interpreter."""
    return str(Path(sys.executable).with_name(program))


def normalised(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def test_packages_import_only_along_the_arrows_of_the_design() -> None:
    run = subprocess.run(
        [bin_path("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_direct_dependency_is_pinned_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = [
        *project["project"]["dependencies"],
        *(name for extra in project["project"]["optional-dependencies"].values() for name in extra),
        *(name for group in project["dependency-groups"].values() for name in group),
    ]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {normalised(line) for line in lines if "==" in line and not line.startswith("#")}
    assert {normalised(name) for name in direct} <= pinned, "run `make lock`"


def test_constraints_name_no_registry() -> None:
    assert "://" not in (ROOT / "constraints.txt").read_text()
