"""Handing over what came in."""

from __future__ import annotations

from core.conversation.mailbox import Admission, Mailbox
from core.inbox import Inbox
from core.storage.client import Store
from core.storage.feedback import Feedback
from core.storage.shared import Places
from tests.builders import call, message, mover


async def test_it_tells_what_was_too_many(store: Store) -> None:
    mailbox = Mailbox(store, "w", admission=Admission(conversation=2), keep_days=1)
    inbox = Inbox(mailbox, None, Places(store), mover(store), Feedback(store, keep_days=1))
    values = [message("a"), call("help"), call("new"), message("b")]
    assert await inbox.accept(values) == values[2:]
    # A second delivery is none that is told again.
    assert await inbox.accept(values) == []
