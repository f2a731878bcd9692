"""What is asked and answered in a chaos run: every word of an answer tells whose it is and which place it has.

A question names its tag and how long its answer is to be: ``explain zq17 in 40 words``. The stub model answers with
``zq17=0 seen zq3 zq17``, then ``zq17=1`` to ``zq17=40``, then ``end zq17``: a missing, doubled or foreign word shows,
and ``seen`` holds every tag that the prompt held.
"""

from __future__ import annotations

import re
from typing import Any

from core.conversation.summary import INSTRUCTION
from core.models.answering import GO_ON

TAG = re.compile(r"\bzq\d+\b")
WORD = re.compile(r"\b(zq\d+)=(\d+)")
_ASKED = re.compile(r"\bexplain (zq\d+) in (\d+) words( with code)?")
IN_PARAGRAPH = 12
SEEN_SHOWN = 30
"""Tags of the prompt that an answer repeats; all of them are looked at where the model is asked."""
UNASKED = "nothing was asked"


def question(tag: str, size: int, *, code: bool = False) -> str:
    return f"explain {tag} in {size} words{' with code' if code else ''}"


def answer(tag: str, size: int, seen: list[str], *, code: bool = False) -> str:
    """The whole answer; the same for the same arguments."""
    words = [f"{tag}={n}" for n in range(1, size + 1)]
    lines = [" ".join(words[at : at + IN_PARAGRAPH]) for at in range(0, size, IN_PARAGRAPH)]
    if code and len(lines) > 2:
        inner = "\n".join(lines[1:-1])
        lines = [lines[0], f"```\n{inner}\n```", lines[-1]]
    head = " ".join((f"{tag}=0", "seen", *seen[-SEEN_SHOWN:]))
    return "\n\n".join((head, *lines, f"end {tag}"))


def ended(text: str, tag: str) -> bool:
    """Whether the end of this answer stands in a text."""
    return re.search(rf"\bend {tag}\b", text) is not None


def reply(body: dict[str, Any]) -> str:
    """What the stub model says to a chat request; after a break it goes on where the text so far stops."""
    texts = [(message["role"], _text(message["content"])) for message in body["messages"]]
    seen = sorted({tag for _, text in texts for tag in TAG.findall(text)}, key=lambda tag: int(tag[2:]))
    so_far = ""
    if texts[-1] == ("user", GO_ON):
        so_far = texts[-2][1]
        texts = texts[:-2]
    if texts[0][1].startswith(INSTRUCTION):
        return " ".join(("They spoke of", *seen))
    asked = _ASKED.findall(texts[-1][1]) if texts[-1][0] == "user" else []
    if not asked:
        return " ".join((UNASKED, *seen))
    tag, size, code = asked[-1]
    whole = answer(tag, int(size), seen, code=bool(code))
    return whole[len(so_far) :] if whole.startswith(so_far) else f"{tag}=0 the text so far is not mine"


def tags_in(body: dict[str, Any]) -> set[str]:
    """Every tag that a chat request holds."""
    return {tag for message in body["messages"] for tag in TAG.findall(_text(message["content"]))}


def asked_in(body: dict[str, Any]) -> str:
    """The tag of the question that a chat request is about, or empty."""
    for message in reversed(body["messages"]):
        if message["role"] == "user" and (asked := _ASKED.findall(_text(message["content"]))):
            return asked[-1][0]
    return ""


def _text(content: Any) -> str:
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
