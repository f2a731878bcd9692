"""Quizzes as Telegram has them: it tells who votes what is right, and why."""

from __future__ import annotations

from typing import Any

from bots.telegram_bot.utf16 import cut
from core.parts import Poll

MAX_QUESTION, MAX_OPTION, MAX_EXPLANATION = 300, 100, 200
"""Characters (core.telegram.org/bots/api#sendpoll)."""
MAX_OPEN_SECONDS = 2_628_000


def fields_of(poll: Poll) -> dict[str, Any]:
    """Parameters of ``sendPoll``. Its texts are shown as they are."""
    fields: dict[str, Any] = {
        "question": cut(poll.question, 0, MAX_QUESTION),
        "options": [{"text": cut(option, 0, MAX_OPTION)} for option in poll.options],
        "type": "quiz",
        "correct_option_ids": [poll.correct],
    }
    if explanation := " ".join(poll.explanation.split()):
        fields["explanation"] = cut(explanation, 0, MAX_EXPLANATION)
    if poll.seconds:
        fields["open_period"] = min(max(poll.seconds, 5), MAX_OPEN_SECONDS)
    return fields
