"""The model's folder: what the catalog lists and ``core/models/servers/generator.py`` draws with, and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor

from core.models.servers.generator import Generator
from core.training.keeping import write
from core.training.measure import drawn
from core.training.networks import Decoder, layers, one_hot
from core.training.order import FORMAT, Order, TrainingError

ROWS = 10
"""Of a grid of samples."""
CLOSE = 0.01
"""Tones between 0 and 1 may differ so much between torch, and numpy with 16-bit weights."""
SCALE = 2


@dataclass(frozen=True, slots=True)
class Made:
    """What a card tells."""

    labels: tuple[str, ...]
    source: str
    licence: str
    learned: int
    """Pictures that it learned from."""
    held: int
    epoch: int
    """The one that is kept."""
    distance: float
    seconds: float


def grid(decoder: Decoder, spread: float, seed: int) -> bytes:
    """Samples as a PNG: a column for each of the first labels."""
    columns = min(max(decoder.labels, 1), 16) if decoder.labels else ROWS
    labels = torch.arange(ROWS * columns) % ((decoder.labels and columns) or 1)
    return as_grid(drawn(decoder, labels, spread, seed), columns)


def as_grid(pictures: Tensor, columns: int) -> bytes:
    """Pictures with values between -1 and 1 as one PNG, row by row."""
    count, channels, side, _ = pictures.shape
    tones = ((pictures.cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
    whole = tones.reshape(count // columns, columns, channels, side, side).transpose(0, 3, 1, 4, 2)
    whole = whole.reshape(count // columns * side, columns * side, channels)
    picture = Image.fromarray(whole[:, :, 0] if channels == 1 else whole)
    target = BytesIO()
    picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST).save(target, "PNG")
    return target.getvalue()


def finish(folder: Path, order: Order, made: Made, decoder: Decoder, spread: float) -> None:
    """Writes the model; ``model.json`` last, by which the catalog knows it. Raises TrainingError."""
    decoder = decoder.cpu().eval()
    rows, weights = layers(decoder)
    channels = decoder.ups[-1].weight.shape[1]
    facts: dict[str, Any] = {
        "format": FORMAT,
        "kind": order.kind,
        "name": order.name,
        "labels": list(made.labels),
        "size": order.size,
        "channels": channels,
        "latent": decoder.latent,
        "spread": spread,
        "layers": rows,
        "words": words(made.labels),
        "example": _example(decoder),
    }
    write(folder / "model.safetensors", save({name: weight.half() for name, weight in weights.items()}))
    write(folder / "samples.png", grid(decoder, spread, order.seed))
    write(folder / "README.md", card(order, made).encode())
    write(folder / "model.json", (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode())
    _check(folder, facts["example"])


def words(labels: Sequence[str]) -> Mapping[str, Any]:
    """What people call labels that are digits; nothing for others, whose owners may write it themselves."""
    if not labels or not all(len(label) == 1 and label in "0123456789" for label in labels):
        return {}
    return json.loads((Path(__file__).parent / "digits.json").read_text("utf-8"))


def _example(decoder: Decoder) -> Mapping[str, Any]:
    """What torch makes of a noise that anybody can write down, coarsely: by it, other programs are checked."""
    label = max(decoder.labels - 1, 0)
    noise = torch.linspace(-1, 1, decoder.latent)[None]
    with torch.no_grad():
        picture = (decoder(noise, one_hot(torch.tensor([label]), decoder.labels)) + 1) / 2
    return {"label": label, "tones": [round(float(tone), 4) for tone in picture[0, 0, ::4, ::4].flatten()]}


def _check(folder: Path, example: Mapping[str, Any]) -> None:
    generator = Generator.load(folder)
    noise = np.linspace(-1, 1, generator.latent, dtype=np.float32)[None]
    found = generator.values(noise, [example["label"]])[0, 0, ::4, ::4].flatten()
    if np.abs(found - np.asarray(example["tones"], np.float32)).max() > CLOSE:
        (folder / "model.json").unlink()
        raise TrainingError("The model's folder does not draw what was trained: its numbers are too large. Begin anew.")


def card(order: Order, made: Made) -> str:
    """README.md of the folder."""
    kind = "conditional DCGAN" if order.kind == "gan" else "conditional convolutional VAE"
    asked = ", ".join(made.labels[:20]) if made.labels else "nothing: it draws one kind of picture only"
    data = "digits" if order.data == "digits" else "FOLDER"
    command = f"parley train {order.kind} --data {data} --epochs {order.epochs} --name {order.name}"
    command += f" --size {order.size} --seed {order.seed} --batch {order.batch}"
    return f"""---
tags: [{order.kind}, parley]
library_name: parley
---
# {order.name}

A {kind} that draws pictures of {order.size} x {order.size} pixels, trained by Parley. Labels: {asked}.

| | |
| --- | --- |
| data | {made.source} |
| licence of the data | {made.licence} |
| pictures | {made.learned} learned from, {made.held} held out |
| epoch | {made.epoch} of at most {order.epochs} |
| distance | {made.distance:.4g} (Fréchet, a random network's features, against those held out; compares epochs) |
| took | {made.seconds / 60:.1f} minutes |

Made by `{command}`; with the same number of threads on the same kind of machine it comes out the same.

![samples](samples.png)

It knows nothing but its data, and draws nothing else. What it draws is labelled as made by a machine.
"""
