"""What people chose for a conversation. It is kept beside the history, and comes with each turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ON, OFF = "1", "0"
ALWAYS, MENTIONS = "always", "mentions"
"""Every message of people, or what turns to the bot."""
_SWITCH = {ON: True, OFF: False}


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
    answers: str = ""
    """What is answered in a channel with several people: :data:`ALWAYS` or :data:`MENTIONS`."""
    threads: bool | None = None
    """Whether each question in a channel is answered in a thread of its own."""
    persona: str = ""
    """Name of a persona, which may have gone since."""
    sampling: str = ""
    """How answers are sampled, as :func:`core.people.controls.written` writes it."""

    @classmethod
    def of(cls, kept: Sequence[str | None]) -> Preferences:
        """From the values of :data:`FIELDS` as they are kept; what cannot be read was never chosen."""
        model, language, buttons, spoken, answers, threads, persona, sampling = kept
        return cls(
            model or "",
            language or "",
            _SWITCH.get(buttons or ""),
            spoken == ON,
            answers if answers in (ALWAYS, MENTIONS) else "",
            _SWITCH.get(threads or ""),
            persona or "",
            sampling or "",
        )


FIELDS = tuple(Preferences.__dataclass_fields__)
"""The fields' names in the conversation's state, in the order in which the scripts give them."""
OF_CHANNELS = ("answers", "threads")
"""Those that receivers go by before a conversation is known (``core/storage/channels.py``)."""
