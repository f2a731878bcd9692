"""Training a generator: epochs, what is kept after each, and the model's folder at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from core.training import folder, keeping, progress
from core.training.gan import Gan
from core.training.measure import MEASURE_SEED, MOST, Eye, drawn, sharpen
from core.training.networks import Decoder, restore, state
from core.training.order import Order, TrainingError, check_name
from core.training.pictures import Pictures, read
from core.training.vae import Vae

Step = Callable[[Tensor, Tensor], Mapping[str, float]]


class Recipe(Protocol):
    """The networks of a kind, and how they learn."""

    @property
    def parts(self) -> dict[str, Any]:
        """Modules and optimisers, all that a checkpoint keeps."""
        ...

    @property
    def spread(self) -> float:
        """What the noise is multiplied by when it draws."""
        ...

    def step(self, pictures: Tensor, labels: Tensor) -> dict[str, float]:
        """One step, from a batch of real pictures with values between -1 and 1. Gives the losses."""
        ...

    def shown(self) -> Decoder:
        """What would be kept now, ready to draw."""
        ...


@dataclass(slots=True)
class Standing:
    """How far a training is."""

    epoch: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_epoch: int = 0
    weights: dict[str, Tensor] | None = None
    """Of the best epoch."""


FEW = 2000
"""Pictures: a GAN learns fewer of them by heart."""


def train(order: Order, datasets: Path, tell: Callable[[str], None] = progress.tell) -> Path:
    """Gives the model's folder. Raises TrainingError."""
    check_name(order.name)
    if not 1 <= order.epochs <= 100_000 or not 2 <= order.batch <= 4096 or not 0 <= order.seed < 2**31:
        raise TrainingError("--epochs is 1 to 100000, --batch 2 to 4096, --seed 0 to 2147483647.")
    device = keeping.device_of(order.device)
    target = Path(order.out) / order.name
    work = target / "training"
    is_there = (work / "checkpoint.pt").is_file()
    if not order.resume and (is_there or (target / "model.json").exists()):
        raise TrainingError(f"{target} is there already. Go on with --resume, or choose another --name.")
    if order.resume and not is_there:
        raise TrainingError(f"There is nothing to resume: {work} has no checkpoint.")
    pictures = read(order, datasets, tell)
    if len(pictures.split()[0]) < order.batch:
        order = replace(order, batch=len(pictures.split()[0]))
        tell(f"There are few pictures: --batch is {order.batch}.")
    with keeping.alone(work):
        return _Training(order, pictures, target, device, tell).run()


class _Training:
    def __init__(
        self, order: Order, pictures: Pictures, target: Path, device: torch.device, tell: Callable[[str], None]
    ) -> None:
        self.order, self.pictures, self.target, self.tell = order, pictures, target, tell
        self.work = target / "training"
        self.same = order.same | {"data": pictures.digest}
        keeping.be_exact(order.seed)
        values = torch.from_numpy(pictures.values).to(device).float() / 127.5 - 1
        labels = torch.from_numpy(pictures.labels).long().to(device)
        learned, held = (torch.from_numpy(numbers).to(device) for numbers in pictures.split())
        self.values, self.labels = values[learned], labels[learned]
        self.held_labels = labels[held][:MOST].cpu()
        self.recipe = self._recipe(values.shape[1], device)
        self.eye = Eye(values[held], device)
        self.standing = Standing()
        if order.resume:
            self._resume(device)

    def run(self) -> Path:
        order, now = self.order, self.standing
        self.tell(f"{len(self.values)} pictures, {len(self.held_labels)} held out, {len(self.pictures.names)} labels.")
        per_epoch = len(self.values) // order.batch
        with progress.watched(per_epoch * order.epochs) as told:
            while now.epoch < order.epochs and not self._is_enough():
                began = time.monotonic()
                losses = self._epoch(told, per_epoch)
                self._measure(losses)
                now.seconds += time.monotonic() - began
                self._keep()
        if now.weights is None:
            raise TrainingError("No epoch came to its end.")
        best = self.recipe.shown()
        best.load_state_dict(now.weights)
        sharpen(best, self.eye, self.held_labels, self.recipe.spread)
        made = folder.Made(
            self.pictures.names,
            self.pictures.source,
            self.pictures.licence,
            len(self.values),
            len(self.held_labels),
            now.best_epoch,
            now.best,
            now.seconds,
        )
        folder.finish(self.target, order, made, best, self.recipe.spread)
        return self.target

    def _recipe(self, channels: int, device: torch.device) -> Recipe:
        labels, size = len(self.pictures.names), self.order.size
        if self.order.kind == "vae":
            return Vae(labels, size, channels, device)
        return Gan(labels, size, channels, device, is_moved=len(self.values) < FEW)

    def _is_enough(self) -> bool:
        now, order = self.standing, self.order
        if order.patience and now.epoch - now.best_epoch >= order.patience:
            self.tell(f"No better one in {order.patience} epochs: it ends here.")
            return True
        each = now.seconds / max(now.epoch, 1)
        return bool(order.minutes and now.epoch and now.seconds + each > order.minutes * 60)

    def _epoch(self, told: progress.Told, per_epoch: int) -> dict[str, float]:
        now, size = self.standing, self.order.batch
        mixed = torch.randperm(len(self.values)).to(self.values.device)
        sums: dict[str, float] = {}
        for number in range(per_epoch):
            batch = mixed[number * size : (number + 1) * size]
            losses = self.recipe.step(self.values[batch], self.labels[batch])
            if not all(map(math.isfinite, losses.values())):
                raise TrainingError(
                    f"The losses of epoch {now.epoch + 1} are no numbers any more. The last checkpoint is as it was;"
                    " begin anew with another --seed or a larger --batch."
                )
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value / per_epoch
            told(f"epoch {now.epoch + 1}/{self.order.epochs}", now.epoch * per_epoch + number + 1, losses)
        return sums

    def _measure(self, losses: dict[str, float]) -> None:
        now, decoder = self.standing, self.recipe.shown()
        now.epoch += 1
        distance = self.eye.distance(drawn(decoder, self.held_labels, self.recipe.spread, MEASURE_SEED))
        if distance < now.best:
            now.best, now.best_epoch = distance, now.epoch
            now.weights = {name: value.clone() for name, value in decoder.state_dict().items()}
        told = losses | {"distance": distance}
        self.tell(f"epoch {now.epoch}/{self.order.epochs}  {progress.figures(told)}")
        samples = folder.grid(decoder, self.recipe.spread, self.order.seed)
        keeping.write(self.work / "samples" / f"epoch-{now.epoch:04}.png", samples)
        progress.log(self.work / "logs", now.epoch, told, samples)

    def _keep(self) -> None:
        now = self.standing
        values: dict[str, Any] = {
            "same": self.same,
            "parts": state(self.recipe.parts),
            "epoch": now.epoch,
            "seconds": now.seconds,
            "best": now.best,
            "best_epoch": now.best_epoch,
            "weights": now.weights,
        }
        keeping.save(self.work / "checkpoint.pt", values)

    def _resume(self, device: torch.device) -> None:
        path = self.work / "checkpoint.pt"
        kept = keeping.load(path, device)
        keeping.check_same(kept.get("same", {}), self.same)
        try:
            restore(self.recipe.parts, kept["parts"])
            self.standing = Standing(kept["epoch"], kept["seconds"], kept["best"], kept["best_epoch"], kept["weights"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise TrainingError(f"The checkpoint {path} cannot be read ({type(error).__name__}). Begin anew.") from None
        self.tell(f"Going on after epoch {self.standing.epoch}.")
