"""What a stranger meets first: examples, pins, image and compose file say what the code says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import ENVIRONMENT, OPENAI_ENVIRONMENT, Settings, load

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-model.lock")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def pins(lock: str) -> dict[str, list[str]]:
    """Name and version of each pin, and the lines below it."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (ROOT / lock).read_text("utf-8").splitlines():
        if line[:1].isalnum():
            name = line.split(" ")[0]
            found[name] = [line]
        else:
            found[name].append(line)
    return found


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_are_hashed_and_name_no_registry(lock: str) -> None:
    for name, lines in pins(lock).items():
        assert "==" in name
        assert any("--hash=sha256:" in line for line in lines), name
        assert "://" not in "\n".join(lines)
        assert "--index" not in "\n".join(lines)


def test_what_is_asked_for_is_pinned_and_locked() -> None:
    table = project()
    groups = {
        "requirements.lock": table["project"]["dependencies"] + table["dependency-groups"]["build"],
        "requirements-dev.lock": table["project"]["dependencies"] + table["dependency-groups"]["dev"],
        "requirements-model.lock": table["project"]["optional-dependencies"]["model"],
    }
    for lock, requirements in groups.items():
        locked = {re.sub(r"[-_.]+", "-", name).lower() for name in pins(lock)}
        for requirement in requirements:
            name, _, version = requirement.partition(";")[0].partition("==")
            plain = re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()
            assert version, f"{requirement} is not pinned"
            assert any(pin.startswith(f"{plain}==") or pin.startswith(f"{plain}[") for pin in locked), requirement


def test_tests_run_on_what_is_run() -> None:
    assert set(pins("requirements.lock")) <= set(pins("requirements-dev.lock"))


def test_every_dependency_has_its_reason() -> None:
    table = project()
    asked = [
        *table["project"]["dependencies"],
        *table["dependency-groups"]["dev"],
        *table["dependency-groups"]["build"],
    ]
    asked += [name for names in table["project"]["optional-dependencies"].values() for name in names]
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8").lower()
    names = [re.split(r"[\[=;<>]", requirement)[0].strip().lower() for requirement in asked]
    assert [name for name in names if name not in text] == []


def test_the_example_environment_names_every_variable(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text("utf-8")
    named = set(re.findall(r"^([A-Z_]+)=$", text, re.MULTILINE))
    assert named == {*ENVIRONMENT, *OPENAI_ENVIRONMENT}
    assert "VALKEY_PASSWORD=" in text
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    assert load(tmp_path, {}) == Settings()


def test_the_example_configuration_is_valid_and_shows_defaults(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.example.toml", tmp_path / "parley.toml")
    settings = load(tmp_path, {})
    assert [model.name for model in settings.models] == ["friendly", "careful"]
    assert settings.model_copy(update={"providers": (), "models": ()}) == Settings()


def test_compose_publishes_no_database_and_wants_a_password() -> None:
    services = compose()["services"]
    assert "ports" not in services["valkey"]
    assert "ports" not in services["models"]
    assert services["bot"]["ports"] == ["127.0.0.1:8080:8080"]
    for service, name in (("valkey", "VALKEY_PASSWORD"), ("bot", "REDIS_URL")):
        assert "${VALKEY_PASSWORD:?" in services[service]["environment"][name]
    script = services["valkey"]["command"][2]
    assert "requirepass $$VALKEY_PASSWORD" in script
    for option in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert option in script
    assert services["valkey"]["volumes"] == ["valkey:/data"]
    assert services["models"]["profiles"] == ["models"]
    assert set(compose()["volumes"]) == {"data", "valkey", "models"}


def test_compose_pins_images_and_knows_the_settings() -> None:
    for service in compose()["services"].values():
        assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), service["image"]
    environ = compose()["services"]["bot"]["environment"]
    for name in environ:
        if name.startswith("PARLEY__"):
            _, section, field = name.lower().split("__")
            assert hasattr(getattr(Settings(), section), field)
        else:
            assert name in ENVIRONMENT
    assert load(Path("/nowhere"), {**environ, "REDIS_URL": "redis://:x@valkey:6379/0"}).web.host == "0.0.0.0"


def test_the_image_is_pinned_unprivileged_and_gets_all_it_copies() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    instructions = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    by_name: dict[str, list[str]] = {}
    for name, rest in instructions:
        by_name.setdefault(name, []).append(rest)
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", by_name["FROM"][0])
    assert by_name["USER"] == ["parley"]
    assert [name for name, _ in instructions].index("USER") < [name for name, _ in instructions].index("CMD")
    assert "ca-certificates" in by_name["RUN"][0]
    assert "HEALTHCHECK" in by_name
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for copied in by_name["COPY"]:
        for name in copied.split()[:-1]:
            assert f"!{name}" in ignored
            assert (ROOT / name).exists(), name


def test_the_environment_script_refuses_an_old_python(tmp_path: Path) -> None:
    script = (ROOT / "tools" / "environment.py").read_text("utf-8")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "environment.py").write_text(script.replace("NEEDED = (3, 11)", "NEEDED = (3, 99)"))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "tools" / "environment.py"), "run"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Parley needs Python 3.11 or newer, and this is ")
    assert done.stderr.count("\n") == 1


def test_make_says_when_there_is_no_python_or_no_environment(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    make = ["make", "-C", str(tmp_path), "--silent"]
    done = subprocess.run([*make, "up", "PYTHON=no-such-python"], capture_output=True, text=True, check=False)
    assert "there is no no-such-python" in done.stderr
    done = subprocess.run([*make, "run"], capture_output=True, text=True, check=False)
    assert "run make up once" in done.stderr
