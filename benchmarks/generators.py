"""How good the generators that ship are, and the recipes behind them: ``python -m benchmarks.generators``, run by the
interpreter of `.venv-local`.

A small classifier learns the real digits that generators learn from, too. It is then asked which digits it sees in what
they draw (accuracy), and how far its features are from those of real digits that were held out (Fréchet distance).
Beside them stands the plain DCGAN of PyTorch's tutorial, told its label in the simplest way, on the same networks'
widths and the same minutes of processor time, and real digits, which are as good as can be.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.models.servers.generator import Generator
from core.training import digits
from core.training.gan import Gan
from core.training.measure import Eye, drawn, frechet, sharpen
from core.training.networks import Decoder, one_hot
from core.training.order import Order
from core.training.pictures import Pictures, read
from core.training.vae import Vae

SHIPPED = Path(__file__).resolve().parents[1] / "core" / "models" / "generators"
SAMPLES = 4000
BATCH = 64
FEW = 32
"""As `parley train gan` has it: more steps in the same time."""
CLASSES = 10
CLASSIFIER_EPOCHS = 6


class Classifier(nn.Module):
    """Two convolutions and 64 features: 98 percent right on real digits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 5, 1, 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5, 1, 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 49, 64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.body(pictures))


class Plain:
    """DCGAN as PyTorch's tutorial has it: batch norms, binary cross entropy, weights of one spread."""

    spread = 1.0
    latent = 64

    def __init__(self, labels: int, size: int, channels: int, device: torch.device) -> None:
        self.decoder = Decoder(self.latent, labels, size, channels, "tanh").to(device)
        self.critic = nn.Sequential(
            nn.Conv2d(channels + labels, 64, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 4, 2, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(128 * (size // 4) ** 2, 1),
        ).to(device)
        for part in (self.decoder, self.critic):
            part.apply(_spread)
        self.slow = torch.optim.Adam(self.decoder.parameters(), 2e-4, (0.5, 0.999))
        self.fast = torch.optim.Adam(self.critic.parameters(), 2e-4, (0.5, 0.999))

    def step(self, pictures: Tensor, labels: Tensor) -> Mapping[str, float]:
        hot = one_hot(labels, CLASSES)
        wanted = one_hot(torch.randint(CLASSES, (len(pictures),)), CLASSES)
        false = self.decoder(torch.randn(len(pictures), self.latent), wanted)
        judged = self._missed(pictures, hot, 1.0) + self._missed(false.detach(), wanted, 0.0)
        self.fast.zero_grad()
        judged.backward()
        self.fast.step()
        loss = self._missed(false, wanted, 1.0)
        self.slow.zero_grad()
        loss.backward()
        self.slow.step()
        return {}

    def _missed(self, pictures: Tensor, hot: Tensor, wanted: float) -> Tensor:
        planes = hot[:, :, None, None].expand(-1, -1, *pictures.shape[2:])
        found = self.critic(torch.cat([pictures, planes], 1)).squeeze(1)
        return nn.functional.binary_cross_entropy_with_logits(found, torch.full_like(found, wanted))

    def shown(self) -> Decoder:
        return self.decoder.eval()


def _spread(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured of one."""

    name: str
    accuracy: float
    distance: float
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """The classifier, and what it sees in the real digits that were held out."""

    network: Classifier
    real: np.ndarray

    @torch.no_grad()
    def row(self, name: str, pictures: Tensor, labels: Tensor, minutes: float | None = None) -> Row:
        features = torch.cat([self.network.body(part) for part in pictures.split(500)])
        right = (self.network.head(features).argmax(1) == labels).double().mean().item()
        return Row(name, right, frechet(features.double().numpy(), self.real), minutes)


def judge(values: Tensor, labels: Tensor, held: Tensor) -> Judge:
    """Learns the real digits."""
    torch.manual_seed(1)
    network = Classifier()
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(CLASSIFIER_EPOCHS):
        for batch in torch.randperm(len(values)).split(BATCH):
            loss = nn.functional.cross_entropy(network(values[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        return Judge(network.eval(), network.body(held).double().numpy())


def trained(
    make: Callable[..., Any], size: int, values: Tensor, labels: Tensor, minutes: float
) -> tuple[Decoder, float]:
    """What a recipe gives after so many minutes of processor time, and its spread."""
    torch.manual_seed(0)
    recipe: Any = make(CLASSES, digits.SIDE, 1, torch.device("cpu"))
    began = time.process_time()
    while True:
        for batch in torch.randperm(len(values)).split(size):
            if time.process_time() - began > minutes * 60:
                decoder: Decoder = recipe.shown()
                sharpen(decoder, Eye(values[:SAMPLES], torch.device("cpu")), labels[:SAMPLES], recipe.spread)
                return decoder, recipe.spread
            if len(batch) == size:
                recipe.step(values[batch], labels[batch])


def of_folder(folder: Path, labels: Tensor) -> Tensor:
    """What a model that ships draws, by numpy, as whoever asks gets it."""
    generator = Generator.load(folder)
    noise = np.random.default_rng(3).standard_normal((len(labels), generator.latent)).astype(np.float32)
    parts = [
        generator.values(noise[at : at + 250] * np.float32(generator.spread), labels[at : at + 250].tolist())
        for at in range(0, len(labels), 250)
    ]
    tones = np.rint(np.concatenate(parts).clip(0, 1) * 255)
    return torch.from_numpy(tones.astype(np.float32)) / 127.5 - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="Parley's data folder, for the digits")
    parser.add_argument("--minutes", type=float, default=5.0, help="of processor time, for each recipe")
    parser.add_argument("--recipes", default="plain,gan,vae", help="which are trained here")
    parser.add_argument("--folders", type=Path, nargs="*", default=sorted(SHIPPED.iterdir()), help="models")
    given = parser.parse_args()
    # More threads make processor time and minutes two things.
    torch.set_num_threads(1)
    pictures: Pictures = read(Order("gan", "digits", "digits"), given.data / "datasets", print)
    values, labels = torch.from_numpy(pictures.values).float() / 127.5 - 1, torch.from_numpy(pictures.labels)
    learned, held = map(torch.from_numpy, pictures.split())
    judging = judge(values[learned], labels[learned], values[held])
    wanted = torch.arange(SAMPLES) % CLASSES
    rows = [judging.row("real, held out", values[held], labels[held])]
    some = learned[: len(held)]
    rows.append(judging.row("real, learned from", values[some], labels[some]))
    rows += [judging.row(folder.name, of_folder(folder, wanted), wanted) for folder in given.folders]
    makers = {"plain": (Plain, BATCH), "gan": (Gan, FEW), "vae": (Vae, BATCH)}
    for name in filter(None, given.recipes.split(",")):
        decoder, spread = trained(*makers[name], values[learned], labels[learned], given.minutes)
        rows.append(judging.row(f"recipe {name}", drawn(decoder, wanted, spread, 3), wanted, given.minutes))
    show(rows)


def show(rows: list[Row]) -> None:
    """A table; against the plain recipe where it was trained, too."""
    plain = next((row.distance for row in rows if row.name == "recipe plain"), None)
    print(f"{'':22} {'right':>8} {'distance':>9} {'to plain':>9} {'minutes':>8}")
    for row in rows:
        ratio = "" if plain is None else f"{row.distance / plain:.2f}"
        minutes = "" if row.minutes is None else f"{row.minutes:g}"
        print(f"{row.name:22} {row.accuracy:>8.1%} {row.distance:>9.2f} {ratio:>9} {minutes:>8}")


if __name__ == "__main__":
    main()
