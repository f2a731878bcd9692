"""What is made in jobs: a turn orders it, follows it, and shows what came of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from core.conversation.turn import Turn
from core.creations.order import Commission, Maker, Order
from core.parts import Part
from core.people.identity import account_of
from core.people.spaces import space_id


class Creations:
    """All that can be made."""

    def __init__(self, makers: Sequence[Maker]) -> None:
        self._makers = {maker.kind: maker for maker in makers}

    async def made(
        self, turn: Turn, kind: str, request: Mapping[str, Any], inputs: Sequence[bytes] = (), *, number: int = 0
    ) -> AsyncGenerator[Part]:
        """Orders it and follows it: how far it is, what came of it, and Finished. ``number`` tells the things apart
        that one turn makes. Raises StorageError."""
        incoming = turn.incoming
        order = Order(
            f"{turn.id}#{number}" if number else turn.id,
            kind,
            request,
            turn.conversation,
            account_of(incoming.author, turn.conversation.platform),
            incoming.author.name,
            turn.language,
            space_id(turn.conversation, incoming.space),
            turn.share,
        )
        commission = Commission(order, tuple(inputs), turn.payer)
        async with aclosing(self._makers[kind].make(commission)) as parts:
            async for part in parts:
                yield part
