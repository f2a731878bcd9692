"""Messages that a rule has a model judge, or that its classifier is unsure of: put aside where they come in, looked at
in a job, and what follows ordered.

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
from core.moderation.albums import Albums
from core.moderation.classify import Classifier, shared_classifier
from core.moderation.judge import Judge, Judged, is_order
from core.moderation.meaning import Reads, SecondLook
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
MOST_LOOKS = 60
"""Messages of one space that are looked at a second time within a minute; of more the first scores count."""

ALBUM_WITHIN = 500
"""Newest messages of a space among which the other pieces of an album are looked for."""

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
        """Has a message looked at by rules of these names: a ``core.moderation.watch.Judges``. Raises StorageError."""
        if not sighting.text.strip():
            return
        for name in names:
            id = _id(space, sighting, name)
            await self._briefs.keep(id, Brief(space, name, sighting))
            await self._enqueue(JOB, id, id)


class Bench:
    """Where the judge sits, and who looks a second time: does the jobs."""

    def __init__(
        self,
        briefs: Briefs,
        policy: Policy,
        spaces: Spaces,
        settings: ModerationSettings,
        judge: Judge,
        order: Order,
        reads: Reads | None = None,
    ) -> None:
        """Without ``reads`` nothing is looked at a second time."""
        self._briefs = briefs
        self._policy = policy
        self._spaces = spaces
        self._settings = settings
        self._judge = judge
        self._order = order
        self._reads = reads
        self._classifier: Classifier | None = None
        self._second: SecondLook | None = None

    async def run(self, id: str) -> None:
        """Judges what waits under an id; done twice, the same follows from it once. Raises StorageError."""
        brief = await self._briefs.get(id)
        if brief is None:
            return
        rules = await self._policy.books.rules(brief.space)
        rule = next((one for one in rules.rules if one.name == brief.rule), None) if rules else None
        if rule is not None and rule.enabled and rule.judge:
            await self._conclude(brief, rule, await self._judged(brief, rule))
        elif rule is not None and rule.enabled and rule.score:
            await self._look_again(brief, rule)
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
        language = (await self._spaces.of(brief.space)).language
        why = await self._doubt(judged, brief.sighting.text, language)
        if judged is not None and judged.verdict == "fine" and not why:
            return
        if judged is None and self._settings.judge_failure == "nothing":
            return
        words = why or (judged.reason if judged else "")
        await self._follow(brief, rule, "judge", words, is_shown_only=bool(why))

    async def _look_again(self, brief: Brief, rule: Rule) -> None:
        """Of what the classifier was unsure of, what it means decides; where nobody tells that, the first scores."""
        classifier, text = await self._classified(), brief.sighting.text
        scores = classifier.scores(text)
        if await self._briefs.count(f"{brief.space}:meaning") > MOST_LOOKS:
            log.warning("too much to look at again", space=brief.space)
        elif self._reads is not None:
            if self._second is None:
                self._second = await asyncio.to_thread(SecondLook.load, self._reads)
            scores = await self._second.judge(text, scores)
        if classifier.thresholds.met(rule.score, scores):
            await self._follow(brief, rule, "score", "", is_shown_only=False)

    async def _follow(self, brief: Brief, rule: Rule, trigger: str, words: str, *, is_shown_only: bool) -> None:
        # Its engine of patterns is loaded where a space has rules, and nowhere else.
        from core.moderation.consequences import consequences
        from core.moderation.rules import Hit, Why

        said, now = brief.sighting, time.time()
        is_quiet = rule.shadow or now < (await self._policy.books.of(brief.space)).value.paused_until
        await self._policy.marks.count(brief.space, [(rule.name, Came.SHADOW if is_quiet else Came.ACTED)])
        if is_quiet:
            return
        is_late = is_shown_only or said.sent_at < now - LATE_SECONDS
        found = consequences([Hit(rule, (Why(trigger, words),))], said, is_late=is_late)
        acts = [_explained(act, words) for act in found.acts]
        acts += await self._rest_of_album(brief, acts)
        await self._order(acts)
        log.info("rules hit", space=brief.space, rules=[rule.name], acts=[str(act.kind) for act in acts])

    async def _rest_of_album(self, brief: Brief, acts: Sequence[Act]) -> list[Act]:
        """What takes away the other pieces, where one is taken away: by now they have all come."""
        said, albums = brief.sighting, Albums()
        if not said.album:
            return []
        async for one in self._policy.watched.newest(brief.space, ALBUM_WITHIN):
            if (one.conversation, one.album) == (said.conversation, said.album):
                albums.saw(one, ())
        albums.saw(said, acts)
        return albums.rest([said])

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
        if is_order(text):
            return True
        classifier = await self._classified()
        return "injection" in classifier.thresholds.over(classifier.scores(text), "flag")

    async def _classified(self) -> Classifier:
        if self._classifier is None:
            self._classifier = await asyncio.to_thread(shared_classifier)
        return self._classifier


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
