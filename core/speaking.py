"""Answers read aloud: as a file beside the text."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import structlog

from core.conversation.history import History
from core.conversation.turn import Turn
from core.errors import ModelError
from core.message import ConversationKey
from core.models.own_wires import OwnKeyError
from core.models.paying import OverBudget
from core.models.pool import Busy
from core.models.speech import Speaker
from core.parts import Activity, Making, Notice, Part

log = structlog.get_logger()

NOTHING_TO_SPEAK = Notice("nothing_to_speak")
"""Said where somebody asked for this very answer; else that it is all code shows by itself."""


class Speaking:
    """Reads answers aloud."""

    def __init__(self, speaker: Speaker, history: History) -> None:
        self._speaker = speaker
        self._history = history

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self._speaker.is_set_up

    async def text_of(self, conversation: ConversationKey, message_id: str) -> str:
        """The answer that a message shows, the newest where none is named; empty where it is not known.

        Raises StorageError.
        """
        known = await self._history.known(conversation, message_id, "speak")
        return known.answer.text if known.answer else ""

    async def aloud(self, turn: Turn, markdown: str) -> AsyncGenerator[Part]:
        """The sound of a text, or a notice why there is none. Raises StorageError."""
        yield Making(Activity.VOICE)
        try:
            spoken = await self._speaker.speak(markdown, space=turn.share, payer=turn.payer)
        except Busy as busy:
            yield busy.notice()
            return
        except OverBudget as over:
            yield over.notice()
            return
        except OwnKeyError as error:
            yield error.notice()
            return
        except ModelError as error:
            log.warning("answer not spoken", turn=turn.id, cause=str(error))
            yield Notice("not_spoken")
            return
        if spoken is None:
            yield NOTHING_TO_SPEAK
            return
        yield spoken.media
        if spoken.is_cut:
            yield Notice("spoken_part")
        for notice in spoken.notices:
            yield notice
