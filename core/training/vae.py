"""A conditional convolutional VAE that heeds its label.

A plain one ignores it: the code says what the picture shows, and the label adds nothing. Here a reader, taught on the
real pictures, also reads what the decoder makes of random codes, and the decoder answers for labels that are not seen.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from core.training.networks import Decoder, Encoder, Reader, follow, measured, one_hot

LATENT = 16
RATE = 1e-3
HEEDED = 8.0
"""Weight of the label's loss on random codes, beside the sum of all pixels' losses."""

KEPT = 0.995
"""Of the average of the weights, each step, once there were many."""


class Vae:
    """One training's networks, and what changes them."""

    spread = 0.8
    """Codes nearer to the middle make clearer pictures."""

    def __init__(self, labels: int, size: int, channels: int, device: torch.device) -> None:
        self.labels, self.device = labels, device
        self.decoder = Decoder(LATENT, labels, size, channels, "sigmoid").to(device)
        self.average = copy.deepcopy(self.decoder).requires_grad_(False)
        self.encoder = Encoder(LATENT, labels, size, channels).to(device)
        self.parts: dict[str, Any] = {"decoder": self.decoder, "average": self.average, "encoder": self.encoder}
        self.optimiser = torch.optim.Adam([*self.decoder.parameters(), *self.encoder.parameters()], RATE)
        self.parts["optimiser"] = self.optimiser
        self.reader: Reader | None = None
        if labels:
            self.reader = Reader(labels, size, channels).to(device)
            self.reading = torch.optim.Adam(self.reader.parameters(), RATE)
            self.parts |= {"reader": self.reader, "reading": self.reading}

    def step(self, pictures: Tensor, labels: Tensor) -> dict[str, float]:
        """One step, from a batch of real pictures. Gives the losses, for each picture."""
        hot = one_hot(labels, self.labels)
        losses: dict[str, float] = {}
        if self.reader is not None:
            read = nn.functional.cross_entropy(self.reader(pictures), labels)
            self.reading.zero_grad(set_to_none=True)
            read.backward()
            self.reading.step()
        mean, spread = self.encoder(pictures, hot)
        code = mean + torch.randn_like(mean) * (spread / 2).exp()
        target = (pictures + 1) / 2
        missed = nn.functional.binary_cross_entropy_with_logits(
            self.decoder.logits(code, hot), target, reduction="sum"
        ) / len(pictures)
        far = -0.5 * (1 + spread - mean.square() - spread.exp()).sum(1).mean()
        loss = missed + far
        if self.reader is not None:
            wanted = torch.randint(self.labels, (len(pictures),), device=self.device)
            drawn = self.decoder(torch.randn_like(mean), one_hot(wanted, self.labels))
            heeded = nn.functional.cross_entropy(self.reader(drawn), wanted)
            loss = loss + HEEDED * heeded
            losses["label"] = heeded.item()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        follow(self.average, self.decoder, self.optimiser, KEPT)
        return {"picture": missed.item(), "code": far.item()} | losses

    def shown(self) -> Decoder:
        """The decoder as it would be kept now."""
        return measured(self.average)
