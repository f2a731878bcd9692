"""A conditional DCGAN that heeds its label: projection and classifier in the critic, hinge loss, spectral norms,
and a slow average of the weights as the result. Few pictures are moved about a little, or they would be learned by
heart; many are not, since what is drawn would be moved about, too."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from core.training.networks import Critic, Decoder, follow, measured, one_hot

LATENT = 64
RATES = (4e-4, 8e-4)
"""Steps of generator and critic."""
BETAS = (0.0, 0.99)
MOVED = 1 / 14
"""Of the side, at most, in each direction."""
KEPT = 0.998
"""Of the average of the weights, each step, once there were many."""
CLASSES = 0.1
"""Weight of the label's loss in the generator's. With more of it, what is drawn is more surely of its label, and more
alike."""


class Gan:
    """One training's networks, and what changes them."""

    spread = 1.0

    def __init__(self, labels: int, size: int, channels: int, device: torch.device, is_moved: bool = False) -> None:
        self.labels, self.device = labels, device
        self.decoder = Decoder(LATENT, labels, size, channels, "tanh").to(device)
        self.average = copy.deepcopy(self.decoder).requires_grad_(False)
        self.critic = Critic(labels, size, channels).to(device)
        self.moved = max(1, round(size * MOVED)) if is_moved else 0
        self.slow = torch.optim.Adam(self.decoder.parameters(), RATES[0], BETAS)
        self.fast = torch.optim.Adam(self.critic.parameters(), RATES[1], BETAS)
        self.parts: dict[str, Any] = {
            "decoder": self.decoder,
            "average": self.average,
            "critic": self.critic,
            "slow": self.slow,
            "fast": self.fast,
        }

    def step(self, pictures: Tensor, labels: Tensor) -> dict[str, float]:
        """One step of both, from a batch of real pictures. Gives their losses."""
        hot = one_hot(labels, self.labels)
        false, wanted = self._drawn(len(pictures))
        score, guess = self.critic(self._shifted(pictures), hot)
        false_score, _ = self.critic(self._shifted(false.detach()), wanted)
        judged = torch.relu(1 - score).mean() + torch.relu(1 + false_score).mean()
        if guess is not None:
            judged = judged + nn.functional.cross_entropy(guess, labels)
        self.fast.zero_grad(set_to_none=True)
        judged.backward()
        self.fast.step()

        false_score, guess = self.critic(self._shifted(false), wanted)
        loss = -false_score.mean()
        if guess is not None:
            loss = loss + CLASSES * nn.functional.cross_entropy(guess, wanted.argmax(1))
        self.slow.zero_grad(set_to_none=True)
        loss.backward()
        self.slow.step()
        follow(self.average, self.decoder, self.slow, KEPT)
        return {"generator": loss.item(), "critic": judged.item()}

    def shown(self) -> Decoder:
        """The generator as it would be kept now."""
        return measured(self.average)

    def _drawn(self, count: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(count, LATENT, device=self.device)
        wanted = one_hot(torch.randint(max(self.labels, 1), (count,), device=self.device), self.labels)
        return self.decoder(noise, wanted), wanted

    def _shifted(self, pictures: Tensor) -> Tensor:
        """Each moved by a few pixels of its own; what comes in at the rim is black."""
        if not self.moved:
            return pictures
        count, _, side, _ = pictures.shape
        wide = nn.functional.pad(pictures, [self.moved] * 4, value=-1.0)
        starts = torch.randint(0, 2 * self.moved + 1, (2, count, 1, 1, 1), device=pictures.device)
        line = torch.arange(side, device=pictures.device)
        rows = starts[0] + line.view(1, 1, side, 1)
        columns = starts[1] + line.view(1, 1, 1, side)
        which = torch.arange(count, device=pictures.device).view(-1, 1, 1, 1)
        channel = torch.arange(pictures.shape[1], device=pictures.device).view(1, -1, 1, 1)
        return wide[which, channel, rows, columns]
