"""Spaces that the bot leaves, or that move, are none of its spaces any more."""

from __future__ import annotations

from core.conversation.mailbox import Admission, Mailbox
from core.inbox import Inbox
from core.message import ConversationKey, Departure, Platform, Relocation
from core.storage.client import Store
from core.storage.feedback import Feedback
from core.storage.shared import Places
from core.storage.spaces_seen import SpacesSeen
from tests.builders import mover


async def test_a_space_that_was_left_or_has_moved_is_forgotten(store: Store) -> None:
    seen = SpacesSeen(store)
    mailbox = Mailbox(store, "w", Admission(), keep_days=1)
    inbox = Inbox(mailbox, None, Places(store), mover(store), Feedback(store, keep_days=1), seen)
    for platform, space in (
        (Platform.DISCORD, "20"),
        (Platform.DISCORD, "21"),
        (Platform.TELEGRAM, "-5"),
        (Platform.TELEGRAM, "-6"),
    ):
        seen.saw(platform, "1", space, "Club")
    await seen.flush()
    await inbox.accept(
        [
            Departure(ConversationKey(Platform.DISCORD, "1", "20"), "20:left", space="20"),
            # A channel that was deleted: its server stays.
            Departure(ConversationKey(Platform.DISCORD, "1", "21"), "21:gone", gone=True),
            Departure(ConversationKey(Platform.TELEGRAM, "1", "-5"), "u1"),
            Relocation(
                ConversationKey(Platform.TELEGRAM, "1", "-6"), ConversationKey(Platform.TELEGRAM, "1", "-1006"), "u2"
            ),
        ]
    )
    assert [space.id for space in await seen.all()] == ["21"]
