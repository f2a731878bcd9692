"""The generators that ship, drawn by numpy alone; and folders that are broken."""

from __future__ import annotations

import json
import math
import shutil
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.models.servers.generator import Generator, Words, read_weights

SHIPPED = Path(__file__).resolve().parents[4] / "core" / "models" / "generators"
NAMES = ("digits", "digits-vae")


@pytest.fixture(scope="module")
def gan() -> Generator:
    return Generator.load(SHIPPED / "digits")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / "digits", tmp_path / "own"))


def change(folder: Path, **values: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_numpy_draws_what_torch_drew(name: str) -> None:
    generator = Generator.load(SHIPPED / name)
    example = json.loads((SHIPPED / name / "model.json").read_text("utf-8"))["example"]
    noise = np.linspace(-1, 1, generator.latent, dtype=np.float32)[None]
    found = generator.values(noise, [example["label"]])[0, 0, ::4, ::4].flatten()
    assert np.abs(found - np.asarray(example["tones"])).max() < 0.01
    assert found.max() > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_the_label_asked_for_decides(name: str) -> None:
    generator = Generator.load(SHIPPED / name)
    noise = np.random.default_rng(0).standard_normal((20, generator.latent)).astype(np.float32)
    ones, eights = (generator.values(noise, [label] * 20).sum((1, 2, 3)) for label in (1, 8))
    # An eight takes more ink than a one, whatever the noise.
    assert (eights > ones).mean() > 0.9


def test_a_seed_is_a_picture(gan: Generator) -> None:
    first, second = gan.draw("7", 5, 2)
    assert gan.draw("7", 5, 1) == [first]
    assert first != second
    assert gan.draw("7", 6, 1) != [first]
    with Image.open(BytesIO(first)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (28, 28))
    with pytest.raises(ValueError, match="no label"):
        gan.draw("cat", 5, 1)


@pytest.mark.parametrize(
    ("prompt", "label"),
    [
        ("7", "7"),
        ("７", "7"),
        ("a Seven!", "7"),
        ("one seven, please", "7"),
        ("three", "3"),
        ("七", "7"),
        ("请画一个七", "7"),
        ("一", "1"),
        ("数字零", "0"),
        ("十七", None),
        ("70", None),
        ("-", None),
        ("", None),
        ("seven and eight", None),
        ("a cat", None),
        ("seventy", None),
        ("7" * 100_000, None),
    ],
)
def test_what_a_prompt_means(gan: Generator, prompt: str, label: str | None) -> None:
    assert gan.meaning(prompt) == label


def test_labels_of_ones_own_are_found_as_words() -> None:
    labels, words = ("Red_Shoe", "shoe", "café"), Words({"shoe": ("sneaker",)})
    assert words.named(labels, "a red shoe") == {"Red_Shoe"}
    assert words.named(labels, "CAFÉ") == {"café"}
    assert words.named(labels, "my sneaker") == {"shoe"}
    assert words.named(labels, "shoehorn") == set()


@pytest.mark.parametrize(
    "values",
    [
        {"format": 2},
        {"labels": "0123456789"},
        {"labels": [0, 1]},
        {"size": 10**9},
        {"size": 14},
        {"channels": True},
        {"channels": 3},
        {"latent": -1},
        {"latent": 63},
        {"layers": []},
        {"layers": [{"kind": "system"}]},
        {"layers": [{"kind": "relu"}] * 65},
        {"layers": 7},
        {"words": {"names": {"7": "seven"}}},
    ],
)
def test_a_broken_description_is_refused(copy: Path, values: dict[str, Any]) -> None:
    change(copy, **values)
    with pytest.raises(ValueError, match=r".+"):
        Generator.load(copy)


def safetensors(header: Any, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 16,
        struct.pack("<Q", 2**62) + b"{}",
        safetensors([]),
        safetensors({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, b"\0" * 8),
        safetensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]}}, b"\0" * 8),
        safetensors({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, b"\0" * 8),
        safetensors({"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}, b"\0" * 8),
        safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, struct.pack("<f", float("nan"))),
        safetensors({"a": 7}),
    ],
)
def test_broken_weights_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r".+"):
        read_weights(path)


def test_weights_that_do_not_fit_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(
        safetensors({"0.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}}, b"\0" * 4)
    )
    with pytest.raises(ValueError, match=r".+"):
        Generator.load(copy)


def test_layers_that_would_take_all_memory_are_refused(copy: Path) -> None:
    shapes = {"0.weight": [4096, 74], "0.bias": [4096], "2.weight": [1, 8192, 4, 4], "2.bias": [8192]}
    header: dict[str, Any] = {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    (copy / "model.safetensors").write_bytes(safetensors(header, bytes(end)))
    layers = [{"kind": "linear"}, {"kind": "reshape", "shape": [1, 64, 64]}]
    change(copy, layers=[*layers, {"kind": "conv_transpose", "stride": 1, "padding": 0}])
    with pytest.raises(ValueError, match="too much memory"):
        Generator.load(copy)
