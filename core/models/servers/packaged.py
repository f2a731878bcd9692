"""Networks that packages carry as a file, run by onnxruntime. Of the packages only the file is used."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from core.models.servers.work import EngineError, Setup, library


def open_network(package: str, file: str, sha256: str, setup: Setup) -> Any:
    """An onnxruntime session for a package's file; ``sha256`` is that of the file as its authors published it.

    Raises EngineError where it is missing or damaged.
    """
    spec = library("importlib.util").find_spec(package)
    places = [Path(place) / file for place in spec.submodule_search_locations] if spec else []
    path = next((path for path in places if path.is_file()), None)
    if path is None:
        raise EngineError(f"{file} is not installed here. Run make media once.", "not_installed")
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise EngineError(f"{file} is damaged (wrong checksum). Remove .venv-media and run make media.")
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = setup.threads
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
