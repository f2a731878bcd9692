"""Which Python has an engine's libraries. Nothing is imported or started to find out."""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

CHECKOUT = Path(__file__).resolve().parents[3]
SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSWORD|REDIS_URL|^PARLEY_", re.IGNORECASE)
Environment = Literal["main", "local", "media"]
MADE_BY = {"main": "make up", "local": "make local", "media": "make media"}


def python_with(environment: Environment, packages: tuple[str, ...]) -> str | None:
    """The interpreter of that environment, or this one, if it has all of the packages; else None."""
    if environment != "main":
        beside = CHECKOUT / f".venv-{environment}"
        places = list(beside.glob("lib/python3*/site-packages"))
        python = beside / "bin" / "python"
        if python.is_file() and any(all(_is_in(place, name) for name in packages) for place in places):
            return str(python)
    return sys.executable if all(find_spec(name) for name in packages) else None


def path_of(python: str, package: str) -> Path | None:
    """A package's folder in the environment of an interpreter."""
    if python == sys.executable:
        spec = find_spec(package)
        found = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    else:
        found = list(Path(python).parents[1].glob(f"lib/python3*/site-packages/{package}"))
    return next((path for path in found if path.is_dir()), None)


def child_environ(data: Path, hub_url: str) -> dict[str, str]:
    """Environment variables of a child process: none that may be a secret, but the hub's token."""
    environ = {name: value for name, value in os.environ.items() if not SECRET.search(name)}
    if token := os.environ.get("HF_TOKEN"):
        environ["HF_TOKEN"] = token
    environ |= {
        "PYTHONPATH": str(CHECKOUT),
        # Waiting threads that spin take the processor from those that work.
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_CACHE": environ.get("HF_HUB_CACHE", str(data / "models" / "hub")),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    if hub_url and "HF_ENDPOINT" not in environ:
        environ["HF_ENDPOINT"] = hub_url
    return environ


def _is_in(place: Path, package: str) -> bool:
    return (place / package).exists() or (place / f"{package}.py").is_file()
