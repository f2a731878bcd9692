"""The networks: a decoder that both kinds share, and what teaches it. The decoder is all that a folder keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTH = 128
"""Channels of the decoder where it begins."""
LEAST_WIDTH = 32


def stages(size: int) -> int:
    """How many times a side is doubled on the way to the picture."""
    count = 0
    while size > 7:
        size, count = size // 2, count + 1
    return count


class Decoder(nn.Module):
    """From noise and a label to a picture: a linear layer, then convolutions that double the side, as in DCGAN."""

    def __init__(self, latent: int, labels: int, size: int, channels: int, last: str) -> None:
        super().__init__()
        self.latent, self.labels, self.last = latent, labels, last
        self.contrast = 1.0
        """What the picture is multiplied by before its last function: above 1 it gets clearer."""
        count = stages(size)
        self.start = size >> count
        widths = [max(LEAST_WIDTH, WIDTH >> number) for number in range(count)]
        self.first = nn.Linear(latent + labels, widths[0] * self.start**2, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        pairs = zip(widths, [*widths[1:], channels], strict=True)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, 2, 1, bias=number == count - 1)
            for number, (before, after) in enumerate(pairs)
        )

    def logits(self, noise: Tensor, labels: Tensor) -> Tensor:
        """The picture before its last function."""
        found = self.first(torch.cat([noise, labels], 1)).unflatten(1, (-1, self.start, self.start))
        for norm, up in zip(self.norms, self.ups, strict=True):
            found = up(torch.relu(norm(found)))
        return found

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Values between -1 and 1."""
        logits = self.logits(noise, labels) * self.contrast
        return torch.tanh(logits) if self.last == "tanh" else torch.sigmoid(logits) * 2 - 1


def layers(decoder: Decoder) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """The decoder for ``core/models/servers/generator.py``: its layers, and its weights with the norms folded in."""
    norms: Sequence[Any] = list(decoder.norms)
    scale, shift = _folded(norms[0])
    area = decoder.start**2
    weights = {
        "0.weight": decoder.first.weight * scale.repeat_interleave(area)[:, None],
        "0.bias": shift.repeat_interleave(area),
    }
    found: list[dict[str, Any]] = [
        {"kind": "linear"},
        {"kind": "reshape", "shape": [len(scale), decoder.start, decoder.start]},
        {"kind": "relu"},
    ]
    for number, up in enumerate(decoder.ups, 1):
        weight, bias = up.weight, up.bias
        if number < len(norms):
            scale, shift = _folded(norms[number])
            weight, bias = weight * scale[None, :, None, None], shift
        else:
            weight, bias = weight * decoder.contrast, bias * decoder.contrast
        weights |= {f"{len(found)}.weight": weight, f"{len(found)}.bias": bias}
        found += [{"kind": "conv_transpose", "stride": 2, "padding": 1}, {"kind": "relu"}]
    found[-1] = {"kind": decoder.last}
    return found, {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}


def _folded(norm: Any) -> tuple[Tensor, Tensor]:
    """What a norm multiplies by and what it adds."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


class Critic(nn.Module):
    """Judges how real a picture is for its label, and says which label it sees.

    A projection of the label on the features (Miyato and Koyama, 2018) and a classifier beside it (Odena, 2016), with
    spectral norms in place of batch norms.
    """

    def __init__(self, labels: int, size: int, channels: int) -> None:
        super().__init__()
        self.body = body(size, channels, spectral_norm)
        width = features(size)
        self.score = spectral_norm(nn.Linear(width, 1))
        self.labels = spectral_norm(nn.Linear(labels, width, bias=False)) if labels else None
        self.guess = nn.Linear(width, labels) if labels else None

    def forward(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        found = self.body(pictures)
        score = self.score(found).squeeze(1)
        if self.labels is None or self.guess is None:
            return score, None
        return score + (self.labels(labels) * found).sum(1), self.guess(found)


class Encoder(nn.Module):
    """From a picture and its label to the mean and the logarithm of the variance of its code."""

    def __init__(self, latent: int, labels: int, size: int, channels: int) -> None:
        super().__init__()
        self.body = body(size, channels, _plain)
        self.head = nn.Linear(features(size) + labels, 2 * latent)

    def forward(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = self.head(torch.cat([self.body(pictures), labels], 1)).chunk(2, 1)
        return mean, spread.clamp(-8, 8)


class Reader(nn.Module):
    """Says which label a picture has."""

    def __init__(self, labels: int, size: int, channels: int) -> None:
        super().__init__()
        self.body = body(size, channels, _plain)
        self.head = nn.Linear(features(size), labels)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.body(pictures))


def _plain(layer: nn.Module) -> nn.Module:
    return layer


def features(size: int) -> int:
    """How many numbers :func:`body` ends in."""
    count = stages(size)
    return min(WIDTH, LEAST_WIDTH << (count - 1)) * (size >> count) ** 2


def body(size: int, channels: int, normed: Any) -> nn.Sequential:
    """Convolutions that halve the side, to a flat row of features."""
    found: list[nn.Module] = []
    before = channels
    for number in range(stages(size)):
        after = min(WIDTH, LEAST_WIDTH << number)
        found += [normed(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2)]
        before = after
    return nn.Sequential(*found, nn.Flatten())


def one_hot(labels: Tensor, count: int) -> Tensor:
    """Rows with a one; no columns where nothing is labelled."""
    if not count:
        return torch.zeros(len(labels), 0, device=labels.device)
    return nn.functional.one_hot(labels, count).float()


def follow(average: Decoder, decoder: Decoder, optimiser: torch.optim.Adam, most: float) -> None:
    """Moves the average of the weights a little, of which ``most`` stays; at the beginning less of it, or it would long
    be the random ones."""
    steps = float(next(iter(optimiser.state.values()))["step"])
    kept = min(most, steps / (steps + 10))
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), decoder.parameters(), strict=True):
            slow.lerp_(fast, 1 - kept)


@torch.no_grad()
def measured(average: Decoder) -> Decoder:
    """The average with what its norms see measured anew, ready to draw: it never saw a batch itself."""
    for norm in average.norms:
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None
    average.train()
    device = average.first.weight.device
    for _ in range(20):
        labels = torch.randint(max(average.labels, 1), (256,), device=device)
        average(torch.randn(256, average.latent, device=device), one_hot(labels, average.labels))
    return average.eval()


def state(parts: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`restore` brings back, of modules and optimisers."""
    return {name: part.state_dict() for name, part in parts.items()}


def restore(parts: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Raises KeyError, RuntimeError or ValueError for what is of other networks."""
    for name, part in parts.items():
        part.load_state_dict(kept[name])
