"""What is to be trained, as ``parley train`` hands it to the process that trains. The standard library only."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from core.errors import ParleyError

FORMAT = 1
"""Of model folders and checkpoints. A newer one is refused."""
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
"""Names of model folders, as the catalog lists them."""
SIDES = (16, 24, 28, 32, 48, 56, 64, 96, 128)
"""Sides of square pictures that the networks make: halved a few times, 3 to 7 are left."""
DIGITS = "digits"
"""In place of a folder: handwritten digits, fetched once."""


class TrainingError(ParleyError):
    """Training cannot go on. The text says why and what to do, to the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Order:
    """One training. :attr:`same` decides what comes out."""

    kind: Literal["gan", "vae"]
    data: str
    """A folder, or ``digits``."""
    name: str
    """Of the folder that it makes."""
    size: int = 28
    """Pixels of each side."""
    seed: int = 0
    batch: int = 64
    out: str = ""
    """Folder that gets the model's folder."""
    epochs: int = 20
    patience: int = 0
    """Epochs without a better one after which it ends; 0: never early."""
    minutes: float = 0
    """No epoch begins that would end after so many; 0: no limit."""
    device: str = "auto"
    resume: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @property
    def same(self) -> dict[str, Any]:
        """What must be as it was for a training to be resumed."""
        return {"kind": self.kind, "size": self.size, "seed": self.seed, "batch": self.batch}


@dataclass(frozen=True, slots=True)
class Tuning:
    """One fine-tuning of a chat model. :attr:`same` decides what comes out."""

    data: str
    """A file of JSON lines."""
    base: str
    """A folder with a causal model for transformers, or a name in the hub."""
    name: str
    seed: int = 0
    batch: int = 4
    out: str = ""
    epochs: int = 3
    rank: int = 16
    """Of the matrices that LoRA adds."""
    rate: float = 2e-4
    """Step of the optimiser."""
    tokens: int = 512
    """Longest conversation that is learned from; what is before is cut."""
    patience: int = 2
    device: str = "auto"
    resume: bool = False

    def to_json(self) -> str:
        return json.dumps({"kind": "lm"} | asdict(self))

    @property
    def same(self) -> dict[str, Any]:
        """What must be as it was for a training to be resumed."""
        left_out = ("out", "name", "epochs", "patience", "device", "resume")
        return {name: value for name, value in asdict(self).items() if name not in left_out}


def read(text: str) -> Order | Tuning:
    """Raises ValueError for what :meth:`Order.to_json` never wrote."""
    values: dict[str, Any] = json.loads(text)
    kind = Tuning if values.get("kind") == "lm" else Order
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in known})


def check_name(name: str) -> None:
    """Raises TrainingError for what is no name of a folder."""
    if not NAME.fullmatch(name) or name.endswith("."):
        raise TrainingError(
            "--name is up to 64 letters, digits, dots, dashes and underscores; it begins with a letter."
        )
