"""The folder of a fine-tuned model: its weights, its tokenizer and its card."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.training.keeping import write
from core.training.order import TrainingError, Tuning


def write_model(target: Path, order: Tuning, model: Any, tokenizer: Any, figures: Mapping[str, Any]) -> None:
    """Writes it; ``config.json``, by which it is known, comes last. Raises TrainingError where the disk is full."""
    new = target / "training" / "new"
    try:
        shutil.rmtree(new, ignore_errors=True)
        model.save_pretrained(new, safe_serialization=True)
        tokenizer.save_pretrained(new)
        for file in sorted(new.iterdir(), key=lambda file: file.name == "config.json"):
            file.replace(target / file.name)
        new.rmdir()
    # Of safetensors: an error of its own kind.
    except Exception as error:
        shutil.rmtree(new, ignore_errors=True)
        raise TrainingError(
            f"The model cannot be written to {target} ({type(error).__name__}: {str(error)[:200]}). The last checkpoint"
            " is whole: make room and go on with --resume."
        ) from None
    write(target / "README.md", card(order, figures).encode())


def card(order: Tuning, figures: Mapping[str, Any]) -> str:
    """README.md of the folder."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
    base = Path(order.base).name
    return f"""---
base_model: {base}
library_name: transformers
tags: [lora, parley]
---
# {order.name}

{base}, fine-tuned by LoRA (rank {order.rank}, all linear layers) on the conversations of {Path(order.data).name}, and
merged into whole weights. The licence of the base model holds.

| | |
| --- | --- |
{rows}

Perplexity is of the answers in conversations that were held out; lower is better.
Made by `parley train lm --data {Path(order.data).name} --base {base} --epochs {order.epochs} --seed {order.seed}`.

Use it: `local.model` in the configuration is this folder's name.
"""
