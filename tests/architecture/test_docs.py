"""The docs say what the code does: settings, links, code fences."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sagitta_server.cli import COMMANDS
from sagitta_server.cli.failures import STARTING
from sagitta_server.cli.settings import all_settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_generated_parts_are_up_to_date() -> None:
    command = [sys.executable, "docs/generate.py", "--check"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_every_setting_says_what_it_is_for() -> None:
    assert [s.variable for s in all_settings() if not s.meaning] == []


def anchors(page: Path) -> set[str]:
    """The anchors that renderers give to headings."""
    titles = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "")).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, anchor = target.partition("#")
        place = page.parent / file if file else page
        if not place.exists() or (anchor and place.suffix == ".md" and anchor not in anchors(place)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page: Path) -> None:
    """A path in backticks that starts with a folder of ours is a file or a folder of ours."""
    named = re.findall(r"`((?:compiler|server|gateway|protos|tests|docs)/[\w./-]+)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_decision_has_a_number_of_its_own_and_a_date() -> None:
    numbers = []
    for record in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        head = re.match(r"# (\d+)\. \S.*\n\n\d{4}-\d\d-\d\d\n", record.read_text())
        assert head, record.name
        assert record.name.startswith(f"{int(head[1]):04}-")
        numbers.append(head[1])
    assert len(numbers) == len(set(numbers)) > 20


def test_every_folder_of_code_is_on_the_map() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    packages = (file.parent for file in ROOT.glob("*/sagitta_*/*/__init__.py"))
    suites = (folder for folder in ROOT.glob("tests/[a-z]*") if folder.is_dir())
    folders = [path.relative_to(ROOT).as_posix() for path in (*packages, *suites)]
    assert len(folders) > 30
    assert [name for name in folders if f"`{name}`" not in text] == []


def test_every_page_is_in_the_index() -> None:
    linked = set(LINK.findall((ROOT / "docs" / "index.md").read_text()))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages - linked == set()


def test_every_command_is_explained_in_the_docs() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    assert [name for name in COMMANDS if f"sagitta {name}" not in text] == []


CODES_GIVEN = (
    re.compile(r'(?:Failure|ExtractionError|Diagnostic)\(\s*"([A-Z_]{5,})"'),
    re.compile(r'metadata=\{"code": "([A-Z_]+)"'),
    re.compile(r'^([A-Z_]+) = "\1"$', re.MULTILINE),
)


def test_every_code_of_the_server_is_explained_in_the_docs() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "server").rglob("*.py"))
    codes = {code for given in CODES_GIVEN for code in given.findall(sources)} | set(STARTING.values())
    page = (ROOT / "docs" / "errors.md").read_text()
    assert len(codes) > 20
    assert sorted(code for code in codes if f"`{code}`" not in page) == []
