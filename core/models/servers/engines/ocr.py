"""The text in a picture, by rapidocr: PP-OCR's networks, English and Chinese, with their weights in the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.models.servers.pictures import opened
from core.models.servers.work import Answer, Read, Request, Setup, Telling, Words, library, refused

MAX_SIDE = 4000
"""Larger pictures are made smaller first: the library looks at 2,000 pixels at most by itself."""
SURE = 0.5
"""Lines less likely than that are noise."""


def open_engine(setup: Setup) -> Reading:
    parameters = {
        "Global.log_level": "error",
        "EngineConfig.onnxruntime.intra_op_num_threads": setup.threads,
    }
    return Reading(library("rapidocr").RapidOCR(params=parameters))


@dataclass(frozen=True, slots=True)
class Reading:
    network: Any
    models: Sequence[str] = ()

    def work(self, request: Request, telling: Telling) -> Answer:
        if not isinstance(request, Read):
            raise refused("This model reads text in pictures, and nothing else.")
        picture = opened(request.picture).convert("RGB")
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        telling.step(0, 1)
        found = self.network(library("numpy").asarray(picture)[:, :, ::-1])
        if found.txts is None:
            return Words("")
        lines = zip(found.boxes, found.txts, found.scores, strict=True)
        return Words(in_lines([(_Box.of(box), text) for box, text, score in lines if score >= SURE]))


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    bottom: float

    @classmethod
    def of(cls, corners: Any) -> _Box:
        across, down = [float(corner[0]) for corner in corners], [float(corner[1]) for corner in corners]
        return cls(min(across), min(down), max(down))


def in_lines(found: Sequence[tuple[_Box, str]]) -> str:
    """The pieces as they stand in the picture: what is side by side is one line."""
    lines: list[list[tuple[_Box, str]]] = []
    for box, text in sorted(found, key=lambda piece: piece[0].top):
        middle = (box.top + box.bottom) / 2
        if lines and lines[-1][0][0].top <= middle <= lines[-1][0][0].bottom:
            lines[-1].append((box, text))
        else:
            lines.append([(box, text)])
    return "\n".join("  ".join(text for _, text in sorted(line, key=lambda piece: piece[0].left)) for line in lines)
