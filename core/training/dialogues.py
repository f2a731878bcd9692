"""Conversations to learn from: lines of OpenAI's chat form, or of questions with answers. The standard library only."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from core.training.order import TrainingError

LEAST = 8
MOST = 200_000
MOST_LINE = 200_000
"""Characters."""
MOST_BYTES = 2 * 2**30
HELD_OUT = 0.1
MOST_HELD_OUT = 500
ROLES = ("system", "user", "assistant")
NAMED_BROKEN = 5


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Messages with ``role`` and ``content``, the last an answer."""

    messages: tuple[Mapping[str, str], ...]


def read(path: Path, tell: Callable[[str], None]) -> list[Dialogue]:
    """All that can be read; a line for what cannot. Raises TrainingError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TrainingError(f"{path} has more than {MOST_BYTES // 2**30} GB.")
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}.") from None
    found: list[Dialogue] = []
    broken: list[int] = []
    for number, line in lines[:MOST]:
        dialogue = _dialogue(line) if len(line) <= MOST_LINE else None
        if dialogue is None:
            broken.append(number)
        else:
            found.append(dialogue)
    if broken:
        named = ", ".join(map(str, broken[:NAMED_BROKEN])) + (", …" if len(broken) > NAMED_BROKEN else "")
        tell(f"{len(broken)} of {len(lines)} lines hold no conversation with an answer and are left out: {named}")
    if len(found) < LEAST:
        raise TrainingError(
            f"{path} holds {len(found)} conversations; at least {LEAST} are needed. A line is"
            ' {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'
            ' or {"question": "…", "answer": "…"}.'
        )
    return found


def split(dialogues: Sequence[Dialogue], seed: int) -> tuple[list[Dialogue], list[Dialogue]]:
    """Those to learn from and those held out. The same conversation is never in both."""
    groups: dict[Dialogue | str, list[Dialogue]] = {}
    for dialogue in dialogues:
        groups.setdefault(json.dumps(dialogue.messages), []).append(dialogue)
    mixed = list(groups.values())
    random.Random(seed).shuffle(mixed)
    wanted = max(1, min(MOST_HELD_OUT, int(len(dialogues) * HELD_OUT)))
    held: list[Dialogue] = []
    while len(held) < wanted and len(mixed) > 1:
        held += mixed.pop()
    return [dialogue for group in mixed for dialogue in group], held


def digest(dialogues: Sequence[Dialogue]) -> str:
    """The same for the same conversations."""
    text = json.dumps([dialogue.messages for dialogue in dialogues], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _dialogue(line: str) -> Dialogue | None:
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    found = cast("dict[str, Any]", values)
    if "messages" not in found:
        pair = [found.get("question"), found.get("answer")]
        rows: Any = [{"role": role, "content": text} for role, text in zip(ROLES[1:], pair, strict=True)]
    else:
        rows = found["messages"]
    if not isinstance(rows, list):
        return None
    messages: list[Mapping[str, str]] = []
    for row in cast("list[Any]", rows):
        one = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
        role, content = one.get("role"), one.get("content")
        if role not in ROLES or not isinstance(content, str) or not content.strip():
            return None
        messages.append({"role": role, "content": content})
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()
    has_question = any(message["role"] == "user" for message in messages)
    return Dialogue(tuple(messages)) if messages and has_question else None
