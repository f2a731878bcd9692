"""Docs that cannot lie: what is generated is up to date, what is named exists."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from core.commands.table import COMMANDS
from core.loading import ENVIRONMENT, OPENAI_ENVIRONMENT, load
from core.texts import CHINESE, ENGLISH

ROOT = Path(__file__).parent.parent


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


def test_relative_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_sentence_is_there_in_both_languages() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
    for key, sentence in ENGLISH.items():
        assert set(re.findall(r"{(\w+)}", sentence)) == set(re.findall(r"{(\w+)}", CHINESE[key])), key


def test_command_names_suit_every_platform() -> None:
    """Telegram takes a-z, 0-9 and _ up to 32; Discord descriptions up to 100 characters."""
    for row in COMMANDS:
        assert re.fullmatch(r"[a-z0-9_]{1,32}", row.name)
        assert max(len(row.summary), len(row.summary_zh)) <= 100
