"""``python -m core.training`` as ``parley train`` starts it: tiny data, real torch, real kills."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.models.local_models import choices, list_models
from core.models.local_server import interpreter_for
from core.models.servers.environments import python_with
from core.models.servers.generator import Generator
from core.models.settings import LocalSettings
from tests.local.test_transformers import MAKE_GPT2

SECONDS = 120


def started(order: dict[str, Any], before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    command = [python_with("local", ("torch",)) or "python", "-m", "core.training", order["out"], json.dumps(order)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=before,  # noqa: PLW1509
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )


def trained(order: dict[str, Any], code: int = 0, before: Callable[[], None] | None = None) -> str:
    """What it says; it ends with that exit status."""
    with started(order, before) as child:
        said, _ = child.communicate(timeout=SECONDS)
    assert child.returncode == code, said
    return said


def killed_after_an_epoch(order: dict[str, Any]) -> None:
    with started(order) as child:
        assert child.stdout is not None
        assert any(line.startswith("epoch 2/") for line in child.stdout)
        child.kill()


def drawn(folder: Path, count: int, mode: str = "L") -> None:
    """Squares or stripes, each of its own brightness."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(len(folder.name))
    for number in range(count):
        tones = np.zeros((20, 20, 3), np.uint8)
        if folder.name == "stripes":
            tones[::4] = random.integers(128, 255)
        else:
            tones[5:15, 5:15] = random.integers(128, 255)
        Image.fromarray(tones).convert(mode).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    drawn(folder / "squares", 60)
    drawn(folder / "stripes", 60)
    (folder / "squares" / "broken.png").write_bytes(b"no picture")
    return folder


def order(shapes: Path, out: Path, name: str, **values: Any) -> dict[str, Any]:
    whole = {"kind": "gan", "data": str(shapes), "name": name, "out": str(out), "size": 16, "batch": 16, "epochs": 3}
    return whole | values


def test_a_gan_that_was_killed_comes_out_the_same(shapes: Path, tmp_path: Path) -> None:
    said = trained(order(shapes, tmp_path, "whole", resume=True), code=2)
    assert "nothing to resume" in said
    assert "Traceback" not in said
    said = trained(order(shapes, tmp_path, "whole"))
    assert "1 of 121 files" in said
    assert "squares/broken.png" in said
    killed_after_an_epoch(order(shapes, tmp_path, "killed", epochs=400))
    assert not (tmp_path / "killed" / "model.json").exists()
    assert "--resume" in trained(order(shapes, tmp_path, "killed"), code=2)
    assert "seed" in trained(order(shapes, tmp_path, "killed", resume=True, seed=1), code=2)
    assert "Going on after epoch" in trained(order(shapes, tmp_path, "killed", resume=True))
    whole, killed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed"))
    assert whole == killed
    generator = Generator.load(tmp_path / "killed")
    assert generator.labels == ("squares", "stripes")
    assert generator.meaning("some stripes") == "stripes"
    assert len(generator.draw("squares", 1, 2)) == 2
    work = tmp_path / "whole" / "training"
    assert [file.name for file in sorted((work / "samples").iterdir())] == [f"epoch-000{n}.png" for n in range(1, 4)]
    assert any(file.name.startswith("events") for file in (work / "logs").iterdir())
    card = (tmp_path / "whole" / "README.md").read_text("utf-8")
    assert "96 learned from, 24 held out" in card


def test_a_vae_of_one_kind_of_colour_picture_ends_early_and_survives_a_full_disk(tmp_path: Path) -> None:
    drawn(tmp_path / "data", 40, "RGB")
    flat = {"kind": "vae", "epochs": 2}
    trained(order(tmp_path / "data", tmp_path, "flat", **flat))
    generator = Generator.load(tmp_path / "flat")
    assert (generator.labels, generator.channels, generator.meaning("anything")) == ((), 3, "")
    checkpoint = tmp_path / "flat" / "training" / "checkpoint.pt"
    before = checkpoint.read_bytes()

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    again = order(tmp_path / "data", tmp_path, "flat", **flat) | {"epochs": 3, "resume": True}
    assert "make room" in trained(again, code=2, before=no_room)
    assert checkpoint.read_bytes() == before
    assert not list(checkpoint.parent.glob(".*.new"))
    said = trained(again | {"patience": 1, "epochs": 200})
    assert "No better one" in said


def test_a_chat_model_is_fine_tuned_and_served_by_name(tmp_path: Path) -> None:
    base, data = tmp_path / "tiny", tmp_path / "chat.jsonl"
    subprocess.run([interpreter_for("transformers"), "-c", MAKE_GPT2, str(base)], check=True, timeout=300)
    lines = [{"question": f"what is number {n}?", "answer": f"number {n} is a tiny word"} for n in range(24)]
    data.write_text("\n".join(map(json.dumps, lines)) + "\nbroken\n", "utf-8")
    models = tmp_path / "models"
    tuning = {
        "kind": "lm",
        "data": str(data),
        "base": str(base),
        "name": "own",
        "out": str(models),
        "epochs": 3,
        "rate": 0.005,
    }
    said = trained(tuning)
    assert "1 of 25 lines" in said
    card = (models / "own" / "README.md").read_text("utf-8")
    figures = dict(line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("| perplexity"))
    assert float(figures["perplexity after"]) < 0.8 * float(figures["perplexity before"])
    killed_after_an_epoch(tuning | {"name": "killed", "epochs": 400})
    trained(tuning | {"name": "killed", "resume": True, "epochs": 3})
    whole, killed = ((models / name / "model.safetensors").read_bytes() for name in ("own", "killed"))
    assert whole == killed
    settings = LocalSettings(model="own")
    [choice] = asyncio.run(choices(settings, tmp_path, print))
    assert (choice.model, choice.engine) == (str((models / "own").absolute()), "transformers")
    assert "own" in [row.name for row in asyncio.run(list_models(settings, tmp_path))]
