"""Where a turn's answer goes."""

from __future__ import annotations

from bots.adapter import Speaker, Target
from core.commands.table import BY_NAME
from core.conversation.turn import Turn
from core.message import CommandCall


def target_of(turn: Turn) -> Target:
    """To whom, in reply to what."""
    incoming = turn.incoming
    if isinstance(incoming, CommandCall):
        row = BY_NAME.get(incoming.name)
        # A button's question is the answer that it stands under; a command answers to the person alone.
        return Target(
            turn.conversation,
            incoming.private,
            incoming.reply_to if row is not None and row.replies else "",
            incoming.reply_token,
            ephemeral=incoming.alone or (row is not None and row.private),
            asked=incoming.id,
            language=turn.language,
            # What is no answer of a model's is said by the bot.
            speaker=_speaker(turn) if row is not None and row.run is None else None,
        )
    return Target(
        turn.conversation,
        incoming.private,
        incoming.id,
        asked=incoming.id,
        language=turn.language,
        opens=incoming.opens,
        title=incoming.text if incoming.opens else "",
        speaker=_speaker(turn),
    )


def _speaker(turn: Turn) -> Speaker | None:
    """The persona, where it answers under its own name: by one that is the same for all who are there."""
    persona = turn.persona
    return Speaker(persona.called(turn.space.language), persona.avatar) if turn.own_voice else None
