"""What people chose for a conversation. It is kept beside the history, and comes with each turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ON, OFF = "1", "0"


@dataclass(frozen=True, slots=True)
class Preferences:
    """Empty fields and None: nobody chose, so the setting or the asker's own language holds."""

    model: str = ""
    """Name of a model of the catalog, which may have gone since."""
    language: str = ""
    """Of what Parley itself says; one of ``core.texts.languages``."""
    buttons: bool | None = None
    """Whether answers carry buttons."""
    spoken: bool = False
    """Whether answers are read aloud, too."""

    @classmethod
    def of(cls, kept: Sequence[str | None]) -> Preferences:
        """From the values of :data:`FIELDS` as they are kept; what cannot be read was never chosen."""
        model, language, buttons, spoken = kept
        return cls(model or "", language or "", {ON: True, OFF: False}.get(buttons or ""), spoken == ON)


FIELDS = tuple(Preferences.__dataclass_fields__)
"""The fields' names in the conversation's state, in the order in which the scripts give them."""
