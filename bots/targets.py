"""Where a turn's answer goes."""

from __future__ import annotations

from bots.adapter import Target
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
            "",
            incoming.reply_token,
            ephemeral=incoming.alone or (row is not None and row.private),
            asked=incoming.id,
            language=turn.language,
        )
    return Target(
        turn.conversation,
        incoming.private,
        incoming.id,
        asked=incoming.id,
        language=turn.language,
        opens=incoming.opens,
        title=incoming.text if incoming.opens else "",
    )
