"""What answers and commands make things with: one value that holds all of it."""

from __future__ import annotations

from dataclasses import dataclass

from core.creations.creations import Creations
from core.creations.films import Films
from core.creations.pictures import Pictures
from core.knowledge.passages import Passages
from core.labels.labels import Labels
from core.models.reading import Reader
from core.safety.safety import Safety
from core.speaking import Speaking
from core.summaries.summaries import Summaries
from core.summaries.translations import Translations
from core.tools.toolbox import Toolbox
from core.writing import Writer


@dataclass(frozen=True, slots=True)
class Workshop:
    """Everything that is made besides a model's own words."""

    speaking: Speaking
    pictures: Pictures
    reader: Reader
    creations: Creations
    safety: Safety
    labels: Labels
    passages: Passages
    toolbox: Toolbox
    writer: Writer
    summaries: Summaries
    translations: Translations
    films: Films
