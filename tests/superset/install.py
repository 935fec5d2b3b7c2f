"""Installs Apache Superset into an environment of its own, with an initialised metadata database to start from.

    python -m superset.install [VERSION]

Superset's requirements contradict the project's (SQLAlchemy 1.4, an old pyarrow), so it never shares our environment.
What is made lies in `.superset/<version>` and is used by every test run after.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

VERSION = os.environ.get("SS_VERSION", "5.0.0")
"""The version that is tested when nothing else is asked for."""
ROOT = Path(os.environ.get("SS_ROOT", Path(__file__).parents[2] / ".superset"))
EXTRA: tuple[str, ...] = ("adbc-driver-flightsql>=1.13",)
"""Packages that tests want beside Superset: what our own SQLAlchemy dialect stands on."""
NO_PYTHON = 77
"""Exit code where no interpreter can run Superset; its tests are skipped then."""
USERS = (("gina", "Gamma"), ("sam", "Alpha"))
"""Beside `admin`; every password is the name. Gina sees nothing, sam reads everything and owns nothing."""

CONFIG = """\
from pathlib import Path

_home = Path({home!r})
SECRET_KEY = (_home / "secret").read_text().strip()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{{_home}}/superset.db?check_same_thread=false"
FEATURE_FLAGS = {{"ENABLE_TEMPLATE_PROCESSING": {templates!r}}}
PREVENT_UNSAFE_DB_CONNECTIONS = False  # the tests' data lie in SQLite
TALISMAN_ENABLED = False
CONTENT_SECURITY_POLICY_WARNING = False
WTF_CSRF_ENABLED = True
RATELIMIT_ENABLED = False
FAB_ADD_SECURITY_API = True  # must be set before `superset init`
SQLLAB_TIMEOUT = 60
SUPERSET_WEBSERVER_TIMEOUT = 120
"""


@dataclass(frozen=True)
class Installation:
    """Superset of one version: its environment, and a home with an initialised metadata database to copy."""

    version: str
    folder: Path

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def seed(self) -> Path:
        return self.folder / "seed"

    @property
    def is_complete(self) -> bool:
        return (self.folder / "complete").exists() and (self.folder / "complete").read_text() == _stamp(self.version)


def installation(version: str = VERSION) -> Installation:
    """Where a version is, or would be, installed."""
    return Installation(version, ROOT / version)


def requirements(version: str) -> list[str]:
    """What makes each version start: upper bounds that its own metadata lacks, and imports that it does not declare."""
    common = ["marshmallow>=3.18,<4", "flask-caching>=2.1,<2.5", "duckdb", "duckdb-engine", "pillow", "gunicorn"]
    by_series = {"4": ["setuptools<81"], "6": ["rich", "cachetools"]}
    return [f"apache-superset=={version}", *common, *by_series.get(version[0], []), *EXTRA]


def install(version: str = VERSION) -> Installation:
    """Installs a version, unless that was done before."""
    made = installation(version)
    if made.is_complete:
        return made
    made.folder.mkdir(parents=True, exist_ok=True)
    _packages(made)
    if not (made.seed / "superset.db").exists():
        _metadata(made)
    (made.folder / "complete").write_text(_stamp(version))
    return made


def write_config(home: Path, *, templates: bool = True) -> None:
    """Writes the configuration of a Superset that lives in `home`."""
    (home / "superset_config.py").write_text(CONFIG.format(home=str(home), templates=templates))


def environment(home: Path) -> dict[str, str]:
    """The process environment of a Superset that lives in `home`; nothing of ours leaks into it."""
    inherited = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"}}
    return {
        **inherited,
        "SUPERSET_CONFIG_PATH": str(home / "superset_config.py"),
        "SUPERSET_HOME": str(home),
        "FLASK_APP": "superset",
        "PYTHONPATH": str(home / "packages"),
    }


def _stamp(version: str) -> str:
    return "\n".join(requirements(version))


def _packages(made: Installation) -> None:
    uv, python = shutil.which("uv"), _interpreter(made.version)
    target = made.venv / "bin" / "python"
    if uv is not None:
        if not target.exists():
            _run([uv, "venv", "-q", "-p", python, str(made.venv)])
        _run([uv, "pip", "install", "-q", "-p", str(target), *requirements(made.version)])
        return
    if not target.exists():
        _run([python, "-m", "venv", str(made.venv)])
    _run([str(target), "-m", "pip", "install", "-q", *requirements(made.version)])


def _interpreter(version: str) -> str:
    named = os.environ.get("SS_PYTHON")
    for candidate in (named, "python3.11", "python3.10", sys.executable, "python3"):
        found = shutil.which(candidate) if candidate else None
        if found is None:
            continue
        check = "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 12))"
        if subprocess.run([found, "-c", check], check=False).returncode == 0:  # pyenv's shims may lead nowhere
            return found
    if shutil.which("uv") is not None:
        return "3.11"  # uv fetches one
    print(f"Superset {version} needs Python 3.10 or 3.11; install one, or name it in SS_PYTHON.", file=sys.stderr)
    raise SystemExit(NO_PYTHON)


def _metadata(made: Installation) -> None:
    home = made.folder / "making"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    (home / "secret").write_text(os.urandom(32).hex())
    write_config(home)
    superset = str(made.venv / "bin" / "superset")

    def run(*arguments: str) -> None:
        with (home / "init.log").open("a") as log:
            _run([superset, *arguments], env=environment(home), stdout=log, stderr=subprocess.STDOUT)

    run("db", "upgrade")
    run("fab", "create-admin", *_person("admin"))
    run("init")
    for name, role in USERS:
        run("fab", "create-user", *_person(name), "--role", role)
    home.rename(made.seed)


def _person(name: str) -> list[str]:
    return [
        *("--username", name, "--password", name, "--firstname", name.title(), "--lastname", "Tester"),
        *("--email", f"{name}@localhost.invalid"),
    ]


def _run(command: list[str], **options: object) -> None:
    subprocess.run(command, check=True, **options)  # type: ignore[call-overload]


def main() -> None:
    version = sys.argv[1] if len(sys.argv) > 1 else VERSION
    started = time.monotonic()
    made = install(version)
    print(f"Superset {version} is installed in {made.folder} ({time.monotonic() - started:.0f} s).")


if __name__ == "__main__":
    main()
