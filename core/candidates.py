"""Several answers to one question side by side, of which people pick one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from core.models.chat import ChatRequest
from core.models.router import Router
from core.parts import Choice, Ending, Finished, Menu, Notice, Part, Progress, TextDelta, Usage
from core.tasks import end
from core.texts import say

HEAD = "### {number} / {count}"
"""Stands over each of them in the whole answer."""
_HEAD = re.compile(r"^### (\d) / (\d)$", re.MULTILINE)
PICK = "pick"
"""The command of the buttons below them."""
SHOWN = frozenset((Ending.COMPLETE, Ending.LENGTH, Ending.BROKEN))


@dataclass(slots=True)
class _Candidate:
    text: str = ""
    notices: list[Notice] = field(default_factory=list[Notice])
    finished: Finished = field(default_factory=lambda: Finished(Ending.FAILED))


async def side_by_side(router: Router, request: ChatRequest, count: int, language: str) -> AsyncGenerator[Part]:
    """So many answers, each asked for and paid by itself, all at the same time; how many are ready meanwhile. Those
    that fail are left out. Raises StorageError."""
    tasks = [asyncio.create_task(_candidate(router, _unlike(request, number))) for number in range(count)]
    try:
        for ready, done in enumerate(asyncio.as_completed(tasks)):
            await done
            if ready + 1 < count:
                yield Progress("candidates_making", {"ready": ready + 1, "count": count}, (ready + 1) / count)
    finally:
        await end(tasks)
    found = [task.result() for task in tasks]
    good = [one for one in found if one.finished.ending in SHOWN and one.text.strip()]
    for number, one in enumerate(good, 1):
        head = HEAD.format(number=number, count=len(good)) if len(good) > 1 else ""
        yield TextDelta(f"{head}\n{one.text.strip()}\n\n".lstrip())
    notices = [notice for one in found for notice in one.notices]
    for notice in [notice for index, notice in enumerate(notices) if notice not in notices[:index]]:
        yield notice
    if len(good) > 1:
        yield _menu(len(good), language)
    yield Finished(_ending(found, good), _total(found), tuple(c for one in found for c in one.finished.causes))


def picked(text: str, number: int) -> str:
    """One of the answers in a whole answer; empty where there is no such."""
    heads: list[re.Match[str]] = []
    for head in _HEAD.finditer(text):
        # What looks like a head within an answer is out of order, or counts otherwise.
        if int(head[1]) == len(heads) + 1 and (not heads or head[2] == heads[0][2]):
            heads.append(head)
    if not 1 <= number <= len(heads):
        return ""
    end_at = heads[number].start() if number < len(heads) else len(text)
    return text[heads[number - 1].end() : end_at].strip()


async def _candidate(router: Router, request: ChatRequest) -> _Candidate:
    one = _Candidate()
    async with aclosing(router.answer(request)) as parts:
        async for part in parts:
            if isinstance(part, TextDelta):
                one.text += part.text
            elif isinstance(part, Notice):
                one.notices.append(part)
            elif isinstance(part, Finished):
                one.finished = part
    return one


def _unlike(request: ChatRequest, number: int) -> ChatRequest:
    """With a seed of its own, where there is one: the same again would be the same answer."""
    seed = request.sampling.seed
    if seed is None or not number:
        return request
    return replace(request, sampling=replace(request.sampling, seed=(seed + number) % 2**31))


def _menu(count: int, language: str) -> Menu:
    choices = tuple(
        Choice(say("candidates_pick", language, number=number), f"{PICK} {number}") for number in range(1, count + 1)
    )
    return Menu((choices[:3], *((choices[3:],) if count > 3 else ())), say("candidates_how", language))


def _ending(found: list[_Candidate], good: list[_Candidate]) -> Ending:
    if not good:
        return found[0].finished.ending
    return Ending.COMPLETE if len(good) > 1 else good[0].finished.ending


def _total(found: list[_Candidate]) -> Usage:
    each = [one.finished.usage for one in found]
    named = next((usage.model for usage in each if usage.model), "")
    sums = (sum(getattr(usage, name) for usage in each) for name in ("prompt_tokens", "answer_tokens", "cost", "calls"))
    return Usage(named, *sums)
