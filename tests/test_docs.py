"""Docs that cannot lie: what is generated is up to date, what is named exists."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from bots.__main__ import app
from core.commands.table import COMMANDS
from core.loading import ENVIRONMENT, OPENAI_ENVIRONMENT, load
from core.texts import languages

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_generated_docs_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_example_configuration_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "config.example.toml").read_text()
    # Every line that is commented out is a valid one, too.
    uncommented = re.sub(r"^# ?(?=\[|\w+ = )", "", text, flags=re.MULTILINE)
    for form in (text, uncommented):
        tomllib.loads(form)
        (tmp_path / "parley.toml").write_text(form)
        load(tmp_path, {})


def test_the_example_environment_names_real_variables() -> None:
    names = re.findall(r"^#?\s?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert names
    assert set(names) <= {*ENVIRONMENT, *OPENAI_ENVIRONMENT}


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    reasons = (ROOT / "docs/dependencies.md").read_text()
    wanted = [
        *project["project"]["dependencies"],
        *(d for extra in project["project"]["optional-dependencies"].values() for d in extra),
        *project["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[\[=;<> ]", requirement)[0] for requirement in wanted}
    assert sorted(name for name in names if name not in reasons) == []


@pytest.mark.parametrize("page", ["discord", "telegram"])
def test_the_tests_that_pages_name_exist(page: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", (ROOT / f"docs/{page}.md").read_text())
    assert len(named) > 50
    missing = [pair for pair in named if f"def {pair[1]}(" not in (ROOT / "tests" / pair[0]).read_text()]
    assert missing == []


def test_relative_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_commands_that_pages_name_are_there() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    # In code, in a block of commands, or in a table of them.
    named = {kind: set(re.findall(rf"(?:`|^|  ){kind} ([\w.-]+)", text, re.MULTILINE)) for kind in ("make", "parley")}
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {"up", "test-scale"} <= named["make"] <= set(targets)
    commands: Any = typer.main.get_command(app)  # a click that is Typer's own
    assert {"up", "receive"} <= named["parley"] <= set(commands.commands)
    modules = set(re.findall(r"python -m ([\w.]+)", text))
    assert [module for module in modules if find_spec(module) is None] == []


def test_command_names_suit_every_platform() -> None:
    """Telegram takes a-z, 0-9 and _ up to 32; Discord descriptions up to 100 characters."""
    for row in COMMANDS:
        assert re.fullmatch(r"[a-z0-9_]{1,32}( [a-z0-9_]{1,32})?", row.name)
        assert max(len(row.summary(language)) for language in languages()) <= 100
