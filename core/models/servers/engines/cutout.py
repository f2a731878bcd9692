"""What a picture shows without its background, by U2-Net's small network (u2netp, Apache-2.0) on onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.models.servers.packaged import open_network
from core.models.servers.pictures import as_png, only_input, opened
from core.models.servers.work import Answer, Draw, Pictures, Request, Setup, Telling, library, refused

FILE = "u2netp.onnx"
SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
SIDE = 320
"""Pixels of the square that the network sees."""
MEAN = (0.485, 0.456, 0.406)
SPREAD = (0.229, 0.224, 0.225)


def open_engine(setup: Setup) -> Cutting:
    return Cutting(open_network("rembg", FILE, SHA256, setup))


@dataclass(frozen=True, slots=True)
class Cutting:
    network: Any
    models: Sequence[str] = ()

    def work(self, request: Request, telling: Telling) -> Answer:
        if not isinstance(request, Draw) or request.op != "cutout":
            raise refused("This model takes backgrounds away, and nothing else.")
        picture = opened(only_input(request.inputs)).convert("RGB")
        telling.step(0, 2)
        numpy, pillow = library("numpy"), library("PIL.Image")
        small = numpy.asarray(picture.resize((SIDE, SIDE), pillow.Resampling.LANCZOS), dtype=numpy.float32)
        values = (small / max(float(small.max()), 1e-6) - numpy.array(MEAN)) / numpy.array(SPREAD)
        name = self.network.get_inputs()[0].name
        found = self.network.run(None, {name: values.transpose(2, 0, 1)[None].astype(numpy.float32)})[0][0, 0]
        telling.step(1, 2)
        low, high = float(found.min()), float(found.max())
        shown = (found - low) / max(high - low, 1e-6)
        mask = pillow.fromarray((shown * 255).astype(numpy.uint8)).resize(picture.size, pillow.Resampling.LANCZOS)
        picture.putalpha(mask)
        return Pictures((as_png(picture),))
