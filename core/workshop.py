"""What answers and commands make things with: one value that holds all of it."""

from __future__ import annotations

from dataclasses import dataclass

from core.creations.creations import Creations
from core.painting import Painting
from core.speaking import Speaking


@dataclass(frozen=True, slots=True)
class Workshop:
    """Everything that is made besides a model's own words."""

    speaking: Speaking
    painting: Painting
    creations: Creations
