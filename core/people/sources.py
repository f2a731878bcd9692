"""The table of all sources of what is kept about people (``core/people/privacy.py``)."""

from __future__ import annotations

from collections.abc import Sequence

from core.conversation.history import History
from core.knowledge.taught import Taught
from core.message import ConversationKey
from core.people.appealed import Appealed
from core.people.asked import Questions
from core.people.chosen import Changes, OwnPersonas, Profile, Shares
from core.people.community import Community
from core.people.made import Made
from core.people.noted import CaseBooks, Letters, Traces, Votes
from core.people.privacy import Privacy, Source
from core.people.said import Conversations
from core.people.shown import WebChats
from core.people.spent import Usage
from core.people.watched import WatchedMessages


async def privacy(
    community: Community, history: History, at: ConversationKey | None = None, own: str = ""
) -> tuple[Privacy, Conversations]:
    """All there is, in the order in which it is erased; and the source that tells which conversations are left to be
    tidied up. ``at`` and ``own`` are where somebody asks and the id of the call: its own turn goes on there.
    Raises StorageError."""
    store, period = community.store, await community.budgets.period()
    said = Conversations(store, history, own)
    sources: Sequence[Source] = (
        said,
        Letters(store, community.settings.storage.keep_days),
        Votes(store),
        WebChats(store, at, own),
        Made(store),
        CaseBooks(store),
        Appealed(store),
        WatchedMessages(store),
        Questions(community.questions),
        Taught(store, community.libraries),
        Shares(community.spaces),
        Changes(store),
        OwnPersonas(community.personas),
        Usage(store, (period.day, period.month)),
        Traces(store, community.broadcasts.records),
        Profile(community),
    )
    return Privacy(sources), said
