"""Messages that a rule has a model judge: put aside where they come in, judged in a job, and what follows ordered.

Only what can be undone follows (``core/moderation/rule.py`` refuses the rest). Where no judgement is to be had the
moderators are shown the message, or nothing happens: never more.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from core.message import Sighting
from core.models.paying import Payer
from core.moderation.acts import Act, ActKind
from core.moderation.classify import Classifier
from core.moderation.judge import Judge, Judged
from core.moderation.rulebook import Policy
from core.moderation.settings import ModerationSettings
from core.people.spaces import Spaces
from core.storage.judging import Brief, Briefs
from core.storage.marks import Hit as Came
from core.texts import say
from core.writing import Asker

if TYPE_CHECKING:
    from core.moderation.rules import Rule

log = structlog.get_logger()

JOB = "judge"
"""Name of the job; its queue is ``text``."""
LATE_SECONDS = 3600.0
"""What was said longer ago is shown to the moderators, and not acted on."""
LEAST_CONFIDENCE = 0.5
"""Whoever judges with less does not know."""

Enqueue = Callable[[str, str, str], Awaitable[None]]
"""Puts a job into its queue: name, id, argument. Raises StorageError."""
Order = Callable[[Sequence[Act]], Awaitable[object]]
"""Writes acts down, each once by its id. Raises StorageError."""


class Docket:
    """Puts messages aside where they come in, and asks for them to be judged."""

    def __init__(self, briefs: Briefs, enqueue: Enqueue) -> None:
        self._briefs = briefs
        self._enqueue = enqueue

    async def judges(self, space: str, sighting: Sighting, names: Sequence[str]) -> None:
        """Has a message judged by rules of these names: a ``core.moderation.watch.Judges``. Raises StorageError."""
        if not sighting.text.strip():
            return
        for name in names:
            id = _id(space, sighting, name)
            await self._briefs.keep(id, Brief(space, name, sighting))
            await self._enqueue(JOB, id, id)


class Bench:
    """Where the judge sits: does the jobs."""

    def __init__(
        self,
        briefs: Briefs,
        policy: Policy,
        spaces: Spaces,
        settings: ModerationSettings,
        judge: Judge,
        order: Order,
    ) -> None:
        self._briefs = briefs
        self._policy = policy
        self._spaces = spaces
        self._settings = settings
        self._judge = judge
        self._order = order
        self._classifier: Classifier | None = None

    async def run(self, id: str) -> None:
        """Judges what waits under an id; done twice, the same follows from it once. Raises StorageError."""
        brief = await self._briefs.get(id)
        if brief is None:
            return
        rules = await self._policy.books.rules(brief.space)
        rule = next((one for one in rules.rules if one.name == brief.rule), None) if rules else None
        if rule is not None and rule.enabled and rule.judge:
            await self._conclude(brief, rule, await self._judged(brief, rule))
        await self._briefs.drop(id)

    async def _judged(self, brief: Brief, rule: Rule) -> Judged | None:
        if await self._briefs.count(brief.space) > self._settings.judges_per_minute:
            log.warning("too much to judge", space=brief.space)
            return None
        said = brief.sighting
        share = f"{said.conversation.platform}:{said.space}"
        asker = Asker(share, payer=Payer(space=brief.space, listens=False))
        asker = self._judge.asker(asker, await self._spaces.of(brief.space))
        marks = [mark for mark in await self._policy.marks.marks(brief.space) if mark.rule == rule.name]
        judged = await self._judge.judge(asker, rule.judge, marks, said.text)
        if judged is not None:
            log.info("judged", space=brief.space, rule=rule.name, verdict=judged.verdict, sure=judged.confidence)
        return judged

    async def _conclude(self, brief: Brief, rule: Rule, judged: Judged | None) -> None:
        # Its engine of patterns is loaded where a space has rules, and nowhere else.
        from core.moderation.consequences import consequences
        from core.moderation.rules import Hit, Why

        said, now = brief.sighting, time.time()
        language = (await self._spaces.of(brief.space)).language
        why = await self._doubt(judged, said.text, language)
        if judged is not None and judged.verdict == "fine" and not why:
            return
        if judged is None and self._settings.judge_failure == "nothing":
            return
        is_quiet = rule.shadow or now < (await self._policy.books.of(brief.space)).value.paused_until
        await self._policy.marks.count(brief.space, [(rule.name, Came.SHADOW if is_quiet else Came.ACTED)])
        if is_quiet:
            return
        words = why or (judged.reason if judged else "")
        is_shown_only = bool(why) or said.sent_at < now - LATE_SECONDS
        found = consequences([Hit(rule, (Why("judge", words),))], said, is_late=is_shown_only)
        acts = [_explained(act, words) for act in found.acts]
        await self._order(acts)
        log.info("rules hit", space=brief.space, rules=[rule.name], acts=[str(act.kind) for act in acts])

    async def _doubt(self, judged: Judged | None, text: str, language: str) -> str:
        """Why moderators are to look at it, and nothing else is to be done; empty where the verdict counts."""
        if judged is None:
            return say("judge_failed", language)
        if judged.verdict == "unsure" or judged.confidence < LEAST_CONFIDENCE:
            return say("judge_unsure", language, reason=judged.reason)
        if judged.verdict == "fine" and await self._commands(text):
            return say("judge_commanded", language)
        return ""

    async def _commands(self, text: str) -> bool:
        """Whether a text looks like an order to a model: who was found fine by such a one may have ordered it."""
        if self._classifier is None:
            self._classifier = await asyncio.to_thread(Classifier.load)
        scores = self._classifier.scores(text)
        return "injection" in self._classifier.thresholds.over(scores, "flag")


def _explained(act: Act, words: str) -> Act:
    """What moderators alone see tells what the judge thinks; others are told the rule's own reason."""
    if act.kind is not ActKind.FLAG:
        return act
    return replace(act, reason=" ".join(filter(None, (act.reason, words))))


def _id(space: str, sighting: Sighting, rule: str) -> str:
    """The same for the same message, rule and space; an edited message is another one, each time."""
    edit = sighting.update if sighting.edited else ""
    text = "\t".join((space, sighting.conversation.chat, sighting.id, edit, rule))
    return "judge-" + hashlib.sha256(text.encode()).hexdigest()[:32]
