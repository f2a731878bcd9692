"""Polls as Discord has them. It knows no right answer: that is told apart."""

from __future__ import annotations

from typing import Any

from core.parts import Poll

MAX_QUESTION, MAX_ANSWER = 300, 55
"""Characters (docs.discord.com, "Poll resource")."""
MAX_HOURS = 768
USUAL_HOURS = 24


def body_of(poll: Poll) -> dict[str, Any]:
    """A message's field ``poll``. Its texts are shown as they are: no marks, no mentions."""
    hours = min(max(-(-poll.seconds // 3600), 1), MAX_HOURS) if poll.seconds else USUAL_HOURS
    return {
        "question": {"text": poll.question[:MAX_QUESTION]},
        "answers": [{"poll_media": {"text": option[:MAX_ANSWER]}} for option in poll.options],
        "duration": hours,
        "allow_multiselect": False,
    }


def has_poll(message: dict[str, Any], body: dict[str, Any] | None) -> bool:
    """Whether a message has this poll."""
    there: dict[str, Any] | None = message.get("poll")
    return there is not None and body is not None and there["question"]["text"] == body["question"]["text"]
