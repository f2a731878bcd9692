"""Small generators that Parley trained itself (``core/models/servers/generator.py``), run by numpy alone."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from core.models.servers.work import Answer, Draw, EngineError, Pictures, Request, Setup, Telling, library, refused

MAX_COUNT = 16
MAX_SIDE = 2048


def open_engine(setup: Setup) -> Generators:
    return Generators(setup.models, tuple(setup.models))


@dataclass(frozen=True, slots=True)
class Generators:
    folders: Mapping[str, str]
    models: Sequence[str]
    loaded: dict[str, tuple[int, Any]] = field(default_factory=dict[str, tuple[int, Any]])
    """With the time of their file: one may be trained anew."""

    def work(self, request: Request, telling: Telling) -> Answer:
        if not isinstance(request, Draw) or request.op != "draw":
            raise refused("This model only draws.")
        generator = self._generator(request.model)
        label = generator.meaning(request.prompt)
        if label is None:
            possible = ", ".join(map(str, generator.labels))
            raise refused(f"This model only draws: {possible}.", "unsupported_prompt", param=possible)
        count = min(max(request.count, 1), MAX_COUNT)
        seed = secrets.randbelow(2**31) if request.seed is None else request.seed % 2**31
        telling.step(0, 1)
        files = generator.draw(label, seed, count)
        return Pictures(tuple(_sized(file, request.size) for file in files))

    def _generator(self, name: str) -> Any:
        folder = Path(self.folders[name])
        try:
            changed = (folder / "model.json").stat().st_mtime_ns
            known = self.loaded.get(name)
            if known is None or known[0] != changed:
                known = self.loaded[name] = changed, library("core.models.servers.generator").Generator.load(folder)
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(f"The model {name} cannot be read ({type(error).__name__}: {error}).") from None
        return known[1]


def _sized(file: bytes, size: tuple[int, int] | None) -> bytes:
    """The picture about as large as asked for: by itself it has but a few pixels."""
    if size is None:
        return file
    pillow = library("PIL.Image")
    with pillow.open(BytesIO(file)) as picture:
        factor = max(1, min(*size, MAX_SIDE) // max(picture.size))
        target = BytesIO()
        whole = (picture.width * factor, picture.height * factor)
        picture.resize(whole, pillow.Resampling.BICUBIC).save(target, "PNG")
    return target.getvalue()
