"""Pictures to learn from: a folder with a folder of pictures for each label, or with pictures alone, or the digits."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from core.training import digits
from core.training.order import DIGITS, SIDES, Order, TrainingError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
LEAST = 40
LEAST_OF_LABEL = 5
MOST_LABELS = 200
MOST_FILES = 500_000
MOST_BYTES = 2**31
"""Of all pictures in memory, a byte for each tone."""
MOST_FILE_BYTES = 50 * 2**20
MOST_PIXELS = 50_000_000
"""Of one picture: decoded, it takes 150 MB for a moment."""
HELD_OUT = 0.2
MOST_HELD_OUT = 2000
SPLIT_SEED = 2011
"""The same pictures are held out in every training, so that its figures can be compared."""
NAMED_BROKEN = 5

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures (count, channels, side, side), tones from 0 to 255, with the numbers of their labels."""

    values: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    """Of the labels; none where nothing is labelled."""
    source: str
    licence: str
    broken: int = 0

    @property
    def digest(self) -> str:
        """The same for the same pictures with the same labels."""
        found = hashlib.sha256("\0".join(self.names).encode())
        found.update(self.values.tobytes())
        found.update(self.labels.astype("<i8").tobytes())
        return found.hexdigest()[:16]

    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the pictures to learn from, and of those held out."""
        order = np.random.default_rng(SPLIT_SEED).permutation(len(self.values))
        held = min(MOST_HELD_OUT, int(len(order) * HELD_OUT))
        return order[held:], order[:held]


def read(order: Order, datasets: Path, tell: Tell) -> Pictures:
    """What the order names. A line for what is skipped. Raises TrainingError."""
    if order.size not in SIDES:
        raise TrainingError(f"--size is one of {', '.join(map(str, SIDES))}.")
    if order.data == DIGITS:
        values, labels = digits.pictures(digits.fetched(datasets))
        if order.size != digits.SIDE:
            values = np.stack([np.asarray(_scaled(Image.fromarray(one[0]), order.size))[None] for one in values])
        return Pictures(values, labels, tuple(map(str, range(10))), digits.SOURCE, digits.LICENCE)
    return _of_folder(Path(order.data).expanduser(), order.size, tell)


def _of_folder(folder: Path, size: int, tell: Tell) -> Pictures:
    if not folder.is_dir():
        raise TrainingError(f"There is no folder {folder}. --data is a folder of pictures, or {DIGITS}.")
    named = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    named = [path for path in named if any(_files(path))]
    if len(named) > MOST_LABELS:
        raise TrainingError(f"{folder} has {len(named)} folders, one for each label; {MOST_LABELS} are possible.")
    groups = [[*_files(path)] for path in named] or [[*_files(folder)]]
    count = sum(map(len, groups))
    if not count:
        raise TrainingError(f"There are no pictures in {folder}. Known are: {', '.join(ENDINGS)}.")
    if count > MOST_FILES or count * size * size > MOST_BYTES:
        raise TrainingError(f"{folder} has {count} pictures, more than there is memory for at {size} pixels.")
    found: list[list[Image.Image]] = []
    broken: list[Path] = []
    for group in groups:
        pictures: list[Image.Image] = []
        for file in group:
            picture = _opened(file, size)
            if picture is None:
                broken.append(file)
            else:
                pictures.append(picture)
        found.append(pictures)
    if broken:
        names = ", ".join(str(path.relative_to(folder)) for path in broken[:NAMED_BROKEN])
        more = f" and {len(broken) - NAMED_BROKEN} more" if len(broken) > NAMED_BROKEN else ""
        tell(f"{len(broken)} of {count} files are broken or too large, and are left out: {names}{more}")
    _check(folder, [path.name for path in named], [len(group) for group in found])
    mode = "L" if all(picture.mode == "L" for group in found for picture in group) else "RGB"
    values = np.stack([_tones(picture, mode) for group in found for picture in group])
    labels = np.repeat(np.arange(len(found)), [len(group) for group in found])
    names = tuple(path.name for path in named)
    return Pictures(
        values, labels, names, f"{len(values)} pictures of the folder {folder.name}", "unknown", len(broken)
    )


def _check(folder: Path, names: list[str], counts: list[int]) -> None:
    if sum(counts) < LEAST:
        raise TrainingError(f"{folder} has {sum(counts)} pictures that can be read; at least {LEAST} are needed.")
    for name, count in zip(names, counts, strict=False):
        if count < LEAST_OF_LABEL:
            raise TrainingError(f"The label {name} has {count} pictures; each needs at least {LEAST_OF_LABEL}.")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix.lower() in ENDINGS and path.is_file())


def _opened(file: Path, size: int) -> Image.Image | None:
    """The picture's middle square, small; None where it cannot be read."""
    try:
        if file.stat().st_size > MOST_FILE_BYTES:
            return None
        with warnings.catch_warnings(), Image.open(file, formats=FORMATS) as picture:
            # It is about sizes, which are looked at here.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            if picture.width * picture.height > MOST_PIXELS:
                return None
            picture.draft("RGB", (size * 2, size * 2))
            upright = ImageOps.exif_transpose(picture)
            is_clear = "A" in upright.getbands() or "transparency" in upright.info
            if is_clear:
                clear = upright.convert("RGBA")
                upright = Image.new("RGBA", clear.size, "white")
                upright.alpha_composite(clear)
            return _scaled(upright.convert("L" if upright.mode in ("L", "1", "I;16") else "RGB"), size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, EOFError):
        return None


def _scaled(picture: Image.Image, size: int) -> Image.Image:
    return ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)


def _tones(picture: Image.Image, mode: str) -> np.ndarray:
    values = np.asarray(picture.convert(mode), np.uint8)
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))
