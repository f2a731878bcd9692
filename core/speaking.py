"""Answers read aloud: as a file beside the text."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator

import structlog

from core.conversation.history import History
from core.conversation.turn import Turn
from core.errors import ModelError, ModelFault
from core.labels.labels import Labels
from core.message import ConversationKey
from core.models.own_wires import OwnKeyError
from core.models.paying import OverBudget
from core.models.pool import Busy
from core.models.speech import Speaker
from core.parts import Activity, Ending, Finished, Making, Notice, Part, Usage
from core.people.spaces import space_id

log = structlog.get_logger()

NOTHING_TO_SPEAK = Notice("nothing_to_speak")
"""Said where somebody asked for this very answer; else that it is all code shows by itself."""
Trouble = Busy | OverBudget | OwnKeyError | ModelError
TROUBLES = (Busy, OverBudget, ModelError)
"""What a call to a model raises that is no fault of Redis; own keys' errors are models' errors."""


def told_of(trouble: Trouble, otherwise: str) -> Notice:
    """What is said of it; ``otherwise`` is the sentence where a model failed."""
    if isinstance(trouble, Busy | OverBudget | OwnKeyError):
        return trouble.notice()
    return Notice("sound_refused" if trouble.fault is ModelFault.FILTERED else otherwise)


class Speaking:
    """Reads answers aloud."""

    def __init__(self, speaker: Speaker, history: History, labels: Labels) -> None:
        self.speaker = speaker
        self._history = history
        self._labels = labels

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self.speaker.is_set_up

    async def text_of(self, conversation: ConversationKey, message_id: str) -> str:
        """The answer that a message shows, the newest where none is named; empty where it is not known.

        Raises StorageError.
        """
        known = await self._history.known(conversation, message_id, "speak")
        return known.answer.text if known.answer else ""

    async def aloud(self, turn: Turn, markdown: str) -> AsyncGenerator[Part]:
        """The sound of a text, or a notice why there is none, and Finished with what it took. Raises StorageError."""
        yield Making(Activity.VOICE)
        usage = Usage()
        try:
            spoken = await self.speaker.speak(markdown, space=turn.share, payer=turn.payer)
            if spoken is None:
                yield NOTHING_TO_SPEAK
            else:
                usage = spoken.usage
                origin = self._labels.origin(usage.model, spoken.provider, secrets.token_hex(8))
                yield await self._labels.put(spoken.media, origin, space_id(turn.conversation, turn.incoming.space))
                if spoken.is_cut:
                    yield Notice("spoken_part")
                for notice in spoken.notices:
                    yield notice
        except TROUBLES as trouble:
            log.warning("answer not spoken", turn=turn.id, cause=str(trouble))
            yield told_of(trouble, "not_spoken")
        except ValueError as error:
            log.warning("a broken sound", turn=turn.id, cause=str(error))
            yield Notice("not_spoken")
        yield Finished(Ending.COMPLETE, usage)
