"""Small generators of pictures (``core/training`` makes them), drawn by numpy alone: a few layers and their weights.

A model is a folder: ``model.json`` (below), ``model.safetensors`` (the weights of each layer, as ``NUMBER.weight``
and ``NUMBER.bias``), ``README.md`` (its card) and ``samples.png``. ``model.json`` has ``format`` (1), ``kind`` (gan or
vae), ``name``, ``labels`` (none: it draws one kind of thing only), ``size`` (pixels of each side), ``channels`` (1 or
3), ``latent`` (numbers of noise), ``spread`` (what the noise is multiplied by), ``layers``, and an ``example``: what
noise from -1 to 1 in even steps becomes, every fourth pixel. ``words`` may say what else people call its labels
(``names``), what means no label where another is named (``ignored``), and which signs mean something else when they
stand side by side (``joined``), like numerals.

It is no program: nothing in a folder is run, and every number in it is checked before memory is taken.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

FORMAT = 1
MOST_BYTES = 64 * 2**20
"""Of the weights: the shipped ones have 1.2 MB."""
MOST_HEADER = 2**20
MOST_LAYERS = 64
MOST_SIDE = 512
MOST_VALUES = 2**26
"""Of a picture in a layer, before they are added up."""
MOST_LABELS = 1000
MOST_PROMPT = 1000
"""Characters of a prompt that are read."""
TYPES = {"F16": "<f2", "F32": "<f4"}

WORD = re.compile(r"[^\W\d_]+|\d+")
HAN = re.compile(r"[\u3007\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class Words:
    """What people call labels."""

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    ignored: tuple[str, ...] = ()
    joined: str = ""

    @classmethod
    def of(cls, facts: Any) -> Words:
        """Raises ValueError for what are no words."""
        found = _object(facts)
        names = {label: _texts(row) for label, row in _object(found.get("names", {})).items()}
        return cls(names, _texts(found.get("ignored", [])), str(found.get("joined", ""))[:MOST_PROMPT])

    def named(self, labels: Sequence[str], text: str) -> set[str]:
        """The labels that a text names."""
        words = f" {_plain(text)} "
        found = {
            label
            for label in labels
            if any(self._is_there(_plain(name), words) for name in (label, *self.names.get(label, ())))
        }
        # "Red shoe" is not also "shoe".
        plain = {label: f" {_plain(label)} " for label in found}
        parts = {one for one in found if any(plain[one] != whole and plain[one] in whole for whole in plain.values())}
        return found - parts

    def without_ignored(self, text: str) -> str:
        for word in self.ignored:
            text = text.replace(word, " ") if HAN.search(word) else re.sub(rf"\b{re.escape(word)}\b", " ", text)
        return text

    def _is_there(self, name: str, words: str) -> bool:
        if not name:
            return False
        if not HAN.search(name):
            return f" {name} " in words
        if name not in self.joined:
            return name in words
        signs = re.escape(self.joined)
        return re.search(rf"(?<![{signs}]){name}(?![{signs}])", words) is not None


@dataclass(frozen=True, slots=True)
class Generator:
    """One model, ready to draw."""

    name: str
    kind: str
    labels: tuple[str, ...]
    size: int
    channels: int
    latent: int
    spread: float
    layers: tuple[Callable[[Array], Array], ...] = field(repr=False)
    words: Words
    is_halved: bool = False
    """Whether its values are between 0 and 1, in place of -1 and 1."""

    @classmethod
    def load(cls, folder: Path) -> Generator:
        """Raises OSError where a file is not there, ValueError where it is broken, or of a newer version."""
        facts = _facts(folder / "model.json")
        weights = read_weights(folder / "model.safetensors")
        found = _texts(facts.get("labels"))
        layers = facts.get("layers")
        if not isinstance(layers, list) or len(found) > MOST_LABELS:
            raise ValueError("it has no layers, or too many labels")
        rows = cast("list[Any]", layers)
        if not 1 <= len(rows) <= MOST_LAYERS:
            raise ValueError(f"it has {len(rows)} layers, and 1 to {MOST_LAYERS} are possible")
        spread = facts.get("spread", 1.0)
        generator = cls(
            name=str(facts.get("name", folder.name)),
            kind=str(facts.get("kind", "")),
            labels=found,
            size=_whole(facts, "size", MOST_SIDE),
            channels=_whole(facts, "channels", 3),
            latent=_whole(facts, "latent", 4096),
            spread=float(spread) if isinstance(spread, int | float) else 1.0,
            layers=tuple(_layer(row, number, weights) for number, row in enumerate(rows)),
            words=Words.of(facts.get("words", {})),
            is_halved=cast("dict[str, Any]", rows[-1]).get("kind") == "sigmoid",
        )
        generator.check()
        return generator

    def check(self) -> None:
        """Draws once. Raises ValueError where the layers do not fit each other."""
        values = self.values(np.zeros((1, self.latent), np.float32), [0])
        if values.shape != (1, self.channels, self.size, self.size) or self.channels == 2:
            raise ValueError(f"it makes {values.shape} in place of pictures")

    def meaning(self, prompt: str) -> str | None:
        """Which label is asked for: the only one whose name stands in the prompt. Empty where there are no labels,
        None where none or several are named."""
        if not self.labels:
            return ""
        text = unicodedata.normalize("NFKC", prompt[:MOST_PROMPT]).casefold()
        exact = [label for label in self.labels if _plain(label) == _plain(text)]
        if exact:
            return exact[0]
        named = self.words.named(self.labels, text)
        if len(named) > 1:
            # "One seven" asks for a seven.
            named = self.words.named(self.labels, self.words.without_ignored(text))
        return named.pop() if len(named) == 1 else None

    def draw(self, label: str, seed: int, count: int) -> list[bytes]:
        """PNG files. The same seed gives the same pictures, however many there are of them.

        Raises ValueError for a label that it does not have.
        """
        if self.labels and label not in self.labels:
            raise ValueError(f"it has no label {label!r}")
        number = self.labels.index(label) if self.labels else 0
        noise = [np.random.default_rng((seed, place)).standard_normal(self.latent) for place in range(count)]
        values = self.values(np.asarray(noise, np.float32) * np.float32(self.spread), [number] * count)
        return [_png(picture) for picture in values]

    def values(self, noise: Array, labels: Sequence[int]) -> Array:
        """Pictures (count, channels, side, side) with tones from 0 to 1, from noise and the numbers of labels."""
        hot = np.zeros((len(noise), len(self.labels)), np.float32)
        if self.labels:
            hot[np.arange(len(noise)), list(labels)] = 1
        found = np.concatenate([noise, hot], 1)
        for layer in self.layers:
            found = layer(found)
        return found if self.is_halved else (found + np.float32(1)) / np.float32(2)


def read_weights(path: Path) -> dict[str, Array]:
    """The arrays of a safetensors file, as 32-bit numbers.

    Raises OSError, or ValueError for a file that is broken or too large.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"its weights have more than {MOST_BYTES // 2**20} MB")
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(MOST_HEADER, len(data) - 8):
        raise ValueError("its weights are cut off")
    header = _object(json.loads(data[8 : 8 + length]))
    body = memoryview(data)[8 + length :]
    return {name: _array(name, _object(row), body) for name, row in header.items() if name != "__metadata__"}


def _array(name: str, row: dict[str, Any], body: memoryview) -> Array:
    try:
        kind, shape = TYPES[row["dtype"]], [int(side) for side in row["shape"]]
        first, last = (int(place) for place in row["data_offsets"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"its weights {name[:60]!r} are of an unknown form") from error
    if not 0 <= first <= last <= len(body) or any(side < 0 for side in shape):
        raise ValueError(f"its weights {name[:60]!r} are not in the file")
    found = np.frombuffer(body[first:last], kind).reshape(shape).astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError(f"its weights {name[:60]!r} are no numbers")
    return found


def _layer(row: Any, number: int, weights: Mapping[str, Array]) -> Callable[[Array], Array]:
    facts = _object(row)
    weight, bias = weights.get(f"{number}.weight"), weights.get(f"{number}.bias")
    match facts.get("kind"):
        case "linear" if weight is not None and bias is not None and weight.ndim == 2:
            return lambda found: found @ weight.T + bias
        case "conv_transpose" if weight is not None and bias is not None and weight.ndim == 4:
            stride, padding = _whole(facts, "stride", 4), _whole(facts, "padding", 8, least=0)
            return lambda found: _transposed(found, weight, bias, stride, padding)
        case "reshape":
            shape = facts.get("shape")
            sides = cast("list[Any]", shape) if isinstance(shape, list) else []
            if not sides or not all(isinstance(side, int) and 0 < side <= 4096 for side in sides):
                raise ValueError(f"its layer {number} has no shape")
            return lambda found: found.reshape(len(found), *sides)
        case "relu":
            return lambda found: np.maximum(found, np.float32(0))
        case "tanh":
            return np.tanh
        case "sigmoid":
            # By the other function, which does not overflow.
            return lambda found: (np.tanh(found / np.float32(2)) + np.float32(1)) / np.float32(2)
        case _:
            raise ValueError(f"its layer {number} is unknown, or has no weights")


def _transposed(found: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    """A transposed convolution: each value spreads the kernel around its place."""
    count, before, height, width = found.shape
    _, after, rows, columns = weight.shape
    whole_height, whole_width = (height - 1) * stride + rows, (width - 1) * stride + columns
    if after * rows * columns * height * width > MOST_VALUES:
        raise ValueError("its layers take too much memory")
    if max(whole_height, whole_width) > 2 * MOST_SIDE or weight.shape[0] != before:
        raise ValueError("its layers do not fit each other")
    spread = weight.reshape(before, -1).T @ found.reshape(count, before, -1)
    spread = spread.reshape(count, after, rows, columns, height, width)
    whole = np.zeros((count, after, whole_height, whole_width), np.float32)
    for row in range(rows):
        for column in range(columns):
            down, right = slice(row, row + stride * height, stride), slice(column, column + stride * width, stride)
            whole[:, :, down, right] += spread[:, :, row, column]
    inner = whole[:, :, padding : whole_height - padding, padding : whole_width - padding]
    return inner + bias[:, None, None]


def _png(values: Array) -> bytes:
    from PIL import Image

    tones = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    picture = (
        Image.fromarray(tones[0])
        if len(tones) == 1
        else Image.fromarray(np.ascontiguousarray(tones.transpose(1, 2, 0)))
    )
    target = BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()


def _plain(text: str) -> str:
    """Words and numbers, single blanks between them: "Red_Shoe!" is "red shoe"."""
    return " ".join(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _facts(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_HEADER:
        raise ValueError("its model.json is too long")
    facts = _object(json.loads(path.read_text("utf-8")))
    if facts.get("format") != FORMAT:
        raise ValueError(
            f"its format is {str(facts.get('format'))[:20]}, and this program reads {FORMAT}: update Parley"
        )
    return facts


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[Any]", value)):
        raise ValueError("it has no list of texts where one belongs")
    return tuple(cast("list[str]", value))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("it is not an object of JSON")
    return cast("dict[str, Any]", value)


def _whole(facts: Mapping[str, Any], name: str, most: int, least: int = 1) -> int:
    value = facts.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"its {name} is {str(value)[:20]}, and {least} to {most} is possible")
    return value
