"""How closely what people ask for, and what models make, is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from core.section import Section

Act = Literal["off", "flag", "block"]
"""Not looked at; looked at, with a line in the log for what is found; refused."""


class SafetySettings(Section):
    """All but the words that a space forbids needs a model of the kind moderation; without one nothing is looked at."""

    prompts: Act = "block"
    """What is done about what people ask for: off, flag (a line in the log) or block."""
    answers: Act = "off"
    """What is done about what models write. block: each answer is held back until it is whole and was looked at; a
    space's administrators can ask for that by /admin set check_answers on."""
    pictures: Act = "block"
    """What is done about pictures that were made. They are held back until they were looked at."""
    unchecked_texts: Literal["pass", "hold"] = "pass"
    """What becomes of a text while no moderation model answers."""
    unchecked_pictures: Literal["pass", "hold"] = "hold"
    """What becomes of a picture while no moderation model answers."""
    thresholds: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict[str, float])
    """From which score on a category counts, like violence = 0.7, by the moderation model's own names. Where nothing is
    said of a category, the model decides."""
