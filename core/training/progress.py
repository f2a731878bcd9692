"""What the person at the terminal sees of it: a bar, or a line every few seconds where there is no terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

EVERY_SECONDS = 5.0

Told = Callable[[str, int, Mapping[str, float]], None]
"""What is under way, how many steps are done of all, and the losses."""


def tell(line: str) -> None:
    """A line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def figures(values: Mapping[str, float]) -> str:
    """Names and numbers on one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())


@contextlib.contextmanager
def watched(steps: int) -> Iterator[Told]:
    """For so many steps in all."""
    if sys.stdout.isatty():
        with _bar(steps) as told:
            yield told
        return
    last = time.monotonic()

    def line(what: str, done: int, losses: Mapping[str, float]) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY_SECONDS:
            last = time.monotonic()
            tell(f"{what}  {100 * done // max(steps, 1)} %  {figures(losses)}")

    yield line


@contextlib.contextmanager
def _bar(steps: int) -> Iterator[Told]:
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with Progress(*columns) as progress:
        task: TaskID = progress.add_task("", total=steps, losses="")

        def told(what: str, done: int, losses: Mapping[str, float]) -> None:
            progress.update(task, description=what, completed=done, losses=figures(losses))

        yield told


def log(folder: Path, epoch: int, values: Mapping[str, float], samples: bytes = b"") -> None:
    """Figures, and a picture, for TensorBoard. Not worth losing a training for: what cannot be written is left out."""
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        return
    import numpy as np
    from PIL import Image

    with contextlib.suppress(OSError), SummaryWriter(str(folder)) as writer:
        for name, value in values.items():
            writer.add_scalar(name, value, epoch)
        if samples:
            with Image.open(BytesIO(samples)) as picture:
                form = "HW" if picture.mode == "L" else "HWC"
                writer.add_image("samples", np.asarray(picture), epoch, dataformats=form)
