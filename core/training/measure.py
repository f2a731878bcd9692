"""How far pictures that were made are from real ones that were held out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from core.training.networks import Decoder, one_hot

FEATURES = 64
MOST = 2000
"""Pictures that are compared."""
MEASURE_SEED = 11
"""Of the noise that epochs are compared by."""


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """Fréchet distance between two clouds of features, each as if it were normally distributed."""
    (mean, spread), (other_mean, other_spread) = ((rows.mean(0), np.cov(rows.T)) for rows in (one, other))
    common = np.sqrt(np.linalg.eigvals(spread @ other_spread).real.clip(0)).sum()
    apart = np.square(mean - other_mean).sum()
    return float(max(apart + np.trace(spread) + np.trace(other_spread) - 2 * common, 0.0))


class Eye:
    """Features by a small network of random weights, always the same ones: enough to tell epochs apart, whatever the
    pictures show."""

    def __init__(self, held: Tensor, device: torch.device) -> None:
        random = torch.Generator().manual_seed(7)
        channels, layers = held.shape[1], []
        for after in (32, FEATURES):
            layer = nn.Conv2d(channels, after, 4, 2, 1)
            nn.init.normal_(layer.weight, std=(2 / (channels * 16)) ** 0.5, generator=random)
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.ReLU()]
            channels = after
        self.network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten()).to(device).eval()
        # Fewer features than pictures, or their spread would not be known.
        width = min(FEATURES, max(2, len(held) // 4))
        self.seen = torch.randn(FEATURES * 4, width, generator=random).to(device) / (FEATURES * 4) ** 0.5
        self.real = self.features(held[:MOST])

    @torch.no_grad()
    def features(self, pictures: Tensor) -> np.ndarray:
        found = [self.network(part) @ self.seen for part in pictures.split(256)]
        return torch.cat(found).double().cpu().numpy()

    def distance(self, pictures: Tensor) -> float:
        """From the real pictures; 0 is the same."""
        return frechet(self.features(pictures), self.real)


CONTRASTS = (1.0, 1.5, 2.0, 3.0)


def sharpen(decoder: Decoder, eye: Eye, labels: Tensor, spread: float) -> None:
    """Gives a VAE's decoder, whose pictures are the mean of many and so too soft, the contrast by which they come
    nearest to the real ones."""
    if decoder.last != "sigmoid":
        return
    distances: dict[float, float] = {}
    for contrast in CONTRASTS:
        decoder.contrast = contrast
        distances[contrast] = eye.distance(drawn(decoder, labels, spread, MEASURE_SEED))
    decoder.contrast = min(distances, key=lambda contrast: distances[contrast])


@torch.no_grad()
def drawn(decoder: Decoder, labels: Tensor, spread: float, seed: int) -> Tensor:
    """Pictures of these labels. The same for the same seed, on every device."""
    noise = torch.randn(len(labels), decoder.latent, generator=torch.Generator().manual_seed(seed)) * spread
    device = decoder.first.weight.device
    hot = one_hot(labels, decoder.labels)
    parts = zip(noise.split(256), hot.split(256), strict=True)
    return torch.cat([decoder(one.to(device), other.to(device)) for one, other in parts])
