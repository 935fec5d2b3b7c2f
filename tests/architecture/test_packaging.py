"""What the wheel holds, and what it claims on the import path of its users."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"sagitta_compiler", "sagitta_server", "sagitta_gateway", "sagitta"}


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [program("hatchling"), "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_claims_only_names_of_its_own(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_the_wheel_has_no_faults_that_tools_know_of(wheel: Path) -> None:
    toplevel = ",".join(sorted(PACKAGES))
    command = [program("check-wheel-contents"), f"--toplevel={toplevel}", str(wheel)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_package_is_typed(names: set[str]) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_the_wheel_holds_the_files_that_are_not_python(names: set[str]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "compiler", "server", "gateway"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode != 0:
        pytest.skip("not a git checkout: cannot tell which files belong to the project")
    data = {name.split("/", 1)[1] for name in tracked.stdout.splitlines() if not name.endswith(".py")}
    assert data, "package data is expected, such as the demo's model"
    assert data <= names
