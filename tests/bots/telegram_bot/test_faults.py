"""What the server's refusals mean, in its own words."""

from __future__ import annotations

import pytest
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError

from bots.telegram_bot.faults import translated
from bots.telegram_bot.transport import TooLarge
from core.errors import OutboundFault as Fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (Forbidden("Forbidden: bot was blocked by the user"), Fault.CLOSED),
        (Forbidden("Forbidden: user is deactivated"), Fault.CLOSED),
        (Forbidden("Forbidden: bot was kicked from the supergroup chat"), Fault.CLOSED),
        (Forbidden("Forbidden: bot is not a member of the channel chat"), Fault.CLOSED),
        (Forbidden("Forbidden: the group chat was deleted"), Fault.CLOSED),
        (BadRequest("Chat not found"), Fault.CLOSED),
        (BadRequest("Group chat was deactivated"), Fault.CLOSED),
        (BadRequest("Message thread not found"), Fault.CLOSED),
        (BadRequest("TOPIC_DELETED"), Fault.CLOSED),
        (BadRequest("CHAT_WRITE_FORBIDDEN"), Fault.FORBIDDEN),
        (Forbidden("Forbidden: CHAT_WRITE_FORBIDDEN"), Fault.FORBIDDEN),
        (BadRequest("Not enough rights to send text messages to the chat"), Fault.FORBIDDEN),
        (BadRequest("Have no rights to send a message"), Fault.FORBIDDEN),
        (BadRequest("CHAT_RESTRICTED"), Fault.FORBIDDEN),
        (BadRequest("CHAT_SEND_PLAIN_FORBIDDEN"), Fault.FORBIDDEN),
        (BadRequest("TOPIC_CLOSED"), Fault.FORBIDDEN),
        (InvalidToken("Unauthorized"), Fault.FORBIDDEN),
        (BadRequest("Not enough rights to send photos to the chat"), Fault.NO_FILES),
        (BadRequest("Not enough rights to send voice messages to the chat"), Fault.NO_FILES),
        (BadRequest("CHAT_SEND_DOCS_FORBIDDEN"), Fault.NO_FILES),
        (ChatMigrated(-100777), Fault.MOVED),
        (BadRequest("Message to edit not found"), Fault.GONE),
        (BadRequest("Message to be replied not found"), Fault.REFUSED),
        (BadRequest("Message is too long"), Fault.REFUSED),
        (TooLarge("more than 5 bytes"), Fault.REFUSED),
        (NetworkError("ServerDisconnectedError"), Fault.TRANSIENT),
        (TelegramError("Internal Server Error"), Fault.TRANSIENT),
    ],
)
def test_faults(error: TelegramError, fault: Fault) -> None:
    assert translated(error).fault is fault


@pytest.mark.parametrize("error", [RetryAfter(30), BadRequest("SLOWMODE_WAIT_30")])
def test_told_to_wait(error: TelegramError) -> None:
    found = translated(error)
    assert (found.fault, found.retry_after) == (Fault.RATE_LIMITED, 30.0)
