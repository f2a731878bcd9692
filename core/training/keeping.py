"""Checkpoints: written whole or not at all, and read without running anything that is in them."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from core.training.order import FORMAT, TrainingError


def write(path: Path, data: bytes) -> None:
    """Puts a file in its place in one step. Raises TrainingError where the disk is full; what was there stays."""
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise TrainingError(
            f"{path} cannot be written: {error.strerror or error}. The last checkpoint is whole: make room and go on"
            " with --resume."
        ) from None


def save(path: Path, values: dict[str, Any]) -> None:
    """Writes a checkpoint. Raises TrainingError."""
    data = BytesIO()
    torch.save({"format": FORMAT} | values | {"random": _random()}, data)
    write(path, data.getvalue())


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Reads a checkpoint and goes on with its random numbers. Raises TrainingError."""
    try:
        values: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        if values["format"] != FORMAT:
            raise TrainingError(f"{path} was written by another version of Parley. Begin anew with another --name.")
        random = values["random"]
        torch.set_rng_state(random["cpu"].cpu())
        if device.type == "cuda" and random["cuda"] is not None:
            torch.cuda.set_rng_state(random["cuda"].cpu(), device)
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"The checkpoint {path} cannot be read ({type(error).__name__}). Begin anew.") from None
    return values


def check_same(kept: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raises TrainingError where a training is resumed as another one."""
    for name, value in wanted.items():
        if kept.get(name) != value:
            raise TrainingError(
                f"It began with {name} {kept.get(name)}, and cannot go on with {value}. Use the same, or a new --name."
            )


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Raises TrainingError where another process trains in that folder."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise TrainingError(f"{folder} cannot be written: {error.strerror or error}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrainingError(f"Another training is under way in {folder.parent}. Choose another --name.") from None
        yield


def device_of(wanted: str) -> torch.device:
    """Raises TrainingError for one that is not there."""
    has_cuda = torch.cuda.is_available()
    if wanted == "auto":
        wanted = "cuda" if has_cuda else "cpu"
    if wanted not in ("cpu", "cuda"):
        raise TrainingError("--device is cpu, cuda or auto.")
    if wanted == "cuda" and not has_cuda:
        raise TrainingError("--device is cuda, and no card is found here, or this build of torch has no CUDA.")
    return torch.device(wanted)


def be_exact(seed: int) -> None:
    """The same numbers each time, on one machine with the same number of threads."""
    # What cuBLAS needs for that.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.manual_seed(seed)


def _random() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"cpu": torch.get_rng_state(), "cuda": cuda}
