"""One step after the other of an act that this process took: each may be done again, after a crash by any process.

Before the platform is asked for anything, what the act will change is written into its case, and never written again:
that is what undoing gives back. What the platform said is written before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from core import faults
from core.errors import LeaseLost, OutboundError, OutboundFault, RightsUnknownError, StorageError
from core.message import ConversationKey
from core.moderation.acts import ON_PEOPLE, OPPOSITE, Act, ActKind, Answer, Outcome
from core.moderation.cases import Case, CaseState
from core.moderation.checking import has_risen, is_spared
from core.moderation.ending import Ending
from core.moderation.enforcer import Enforcer, Site
from core.moderation.evidence import Said
from core.moderation.telling import TOLD, TOLD_FIRST, Recourse, told
from core.moderation.undoing import RESTORED_BY_HAND, is_ended_by, kind_of, left_by, taken_back_by, to_give_back
from core.storage import keys
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.planned import Claim, Planned

log = structlog.get_logger()

MOST_TRIES = 8
LONGEST_PAUSE = 300.0
REFUSED_SECONDS = 300
"""So long the rules do not try again what the bot had no right to: a platform shuts out whoever asks 10,000 times in
vain."""
MOST_SAID = 50_000
"""Characters kept of what was deleted by one act."""
ASKED_AT_ONCE = 10
"""People whose rank is asked for at a time."""
LISTEN_AGAIN_SECONDS = 2.0
_GIVING = frozenset((*OPPOSITE.values(), ActKind.APPROVE))
"""Takes nothing from anybody."""
ELSEWHERE_SECONDS = 30.0
"""Until another process looks at what is of a platform that this one does not have."""

Listener = Callable[[str, Case], Awaitable[None]]
RecourseOf = Callable[[str, Case], Awaitable[Recourse | None]]
"""How whom a case is about can appeal against it; None: not at all. Raises StorageError."""
PausedUntil = Callable[[str], Awaitable[float]]
"""Unix seconds until which rules do nothing in a space (``RuleBook.paused_until``). Raises StorageError."""
TextsOf = Callable[[ConversationKey, str, Sequence[str]], Awaitable[Mapping[str, Said]]]
"""What some messages of a conversation, in a space, said, by their ids, as far as anybody knows."""


@dataclass(frozen=True, slots=True)
class _Try:
    """One of carrying an act out."""

    claim: Claim
    case: Case
    enforcer: Enforcer

    @property
    def place(self) -> str:
        return self.claim.space


class Hands:
    """Carries out. One per process."""

    def __init__(
        self,
        store: Store,
        enforcers: Mapping[str, Enforcer],
        cases: Cases,
        planned: Planned,
        ending: Ending,
        listeners: Sequence[Listener],
        texts_of: TextsOf | None = None,
        paused_until: PausedUntil | None = None,
        recourse_of: RecourseOf | None = None,
    ) -> None:
        """``enforcers`` by their platforms."""
        self._store = store
        self._enforcers = enforcers
        self._cases = cases
        self._planned = planned
        self._ending = ending
        self._listeners = listeners
        self._texts_of = texts_of
        self._paused_until = paused_until
        self._recourse_of = recourse_of

    async def work(self, claim: Claim, case: Case) -> None:
        """Does what is to be done with a case. Raises LeaseLost, StorageError: then another try does it."""
        enforcer = self._enforcers.get(claim.space.partition(":")[0])
        if enforcer is None:
            await self._planned.later(claim, ELSEWHERE_SECONDS)
            return
        one = _Try(claim, case, enforcer)
        try:
            if claim.is_end:
                await self._end(one)
                return
            if case.state is CaseState.PLANNED:
                case = await self._carry_out(one)
        except RightsUnknownError as error:
            await self._again(one, str(error))
        except OutboundError as error:
            await self._failed(one, error)
        except (LeaseLost, StorageError):
            raise
        except Exception:
            # A mistake of ours would be the same again.
            log.exception("an act could not be carried out", place=claim.space, number=claim.number)
            await self._give_up(one, Answer(Outcome.REFUSED, "act_broken"))
        else:
            await self._close(one, case)

    async def _carry_out(self, one: _Try) -> Case:
        act = one.case.as_act(one.place)
        if act.kind is ActKind.FLAG:
            return await self._write(one, lambda case: replace(case, state=CaseState.DONE))
        if refused := await self._refused(one, act):
            return await self._write(one, _failed(refused))
        if one.case.authors:
            one, act = await self._without_spared(one, act)
            if not act.messages:
                return await self._write(one, _failed(Answer(Outcome.REFUSED, "automod_spares")))
        if one.case.undoes:
            return await self._undo(one, act)
        if one.case.before is None:
            one = replace(one, case=await self._prepare(one, act))
        faults.reached("planned")
        if act.kind in TOLD_FIRST and await self._tell(one, act):
            one = replace(one, case=await self._write(one, lambda case: replace(case, is_told=True)))
        answer = await self._do(one, act)
        faults.reached("enforced")
        is_told = one.case.is_told
        if answer.is_done and act.kind in TOLD and act.kind not in TOLD_FIRST:
            is_told = await self._tell_after(one, act)
        return await self._write(one, lambda case: replace(_with(case, answer), is_told=is_told))

    async def _end(self, one: _Try) -> None:
        """Of an act's time, or of a piece of it."""
        case, is_news = await self._ending.end(one.place, one.case, one.enforcer)
        if not is_news:
            await self._planned.drop(one.claim)
            return
        # Reasons may be written anew meanwhile.
        changed = case
        case = await self._write(
            one, lambda now: replace(now, state=changed.state, until=changed.until, answers=changed.answers, tries=0)
        )
        # Whoever had their data erased is nameless by now.
        await self._ending.resume(one.place, replace(case, account=one.case.account))
        await self._close(one, case)

    async def _refused(self, one: _Try, act: Act) -> Answer | None:
        """Why the platform is not even asked."""
        if act.kind is ActKind.UNDO:
            return None
        if act.kind not in one.enforcer.abilities:
            return Answer(Outcome.REFUSED, "act_lacks_here")
        key = _refused_key(one.place, act)
        if act.actor.is_automod:
            if await self._is_paused(one, act):
                return Answer(Outcome.REFUSED, "act_paused")
            if not one.case.undoes and await is_spared(act, one.enforcer):
                return Answer(Outcome.REFUSED, "automod_spares")
            kept: str | None = await self._store.attempt(lambda: self._store.redis.get(key))
            if kept is not None:
                return Answer(Outcome.FORBIDDEN, kept)
        elif one.case.tries and await has_risen(act, one.enforcer):
            return Answer(Outcome.REFUSED, "act_risen")
        if lacking := await one.enforcer.lacking(act):
            await self._note_refusal(one.place, act, lacking)
            return Answer(Outcome.FORBIDDEN, lacking)
        return None

    async def _is_paused(self, one: _Try, act: Act) -> bool:
        """Somebody pulled the emergency brake: what takes nothing from anybody goes on."""
        if self._paused_until is None or one.case.undoes or act.kind in _GIVING:
            return False
        return time.time() < await self._paused_until(one.place)

    async def _without_spared(self, one: _Try, act: Act) -> tuple[_Try, Act]:
        """Without the messages of those whom rules let be."""
        accounts, spared = sorted({*act.authors.values()}), set[str]()
        for at in range(0, len(accounts), ASKED_AT_ONCE):
            asked = accounts[at : at + ASKED_AT_ONCE]
            found = await asyncio.gather(*(is_spared(replace(act, account=each), one.enforcer) for each in asked))
            spared.update(each for each, is_so in zip(asked, found, strict=True) if is_so)
        left = tuple(id for id in act.messages if act.authors.get(id) not in spared)
        case = await self._write(one, lambda case: replace(case, messages=left, authors=None))
        return replace(one, case=case), replace(act, messages=case.messages, authors={})

    async def _note_refusal(self, place: str, act: Act, key: str) -> None:
        if key == "bot_below":
            # That is about one person, and no right of the bot's.
            return
        name = _refused_key(place, act)
        await self._store.attempt(lambda: self._store.redis.set(name, key, ex=REFUSED_SECONDS))

    async def _prepare(self, one: _Try, act: Act) -> Case:
        """Writes down what will be changed, and when it is to end."""
        before = dict(await one.enforcer.before(act))
        if act.kind in (ActKind.DELETE, ActKind.PURGE) and self._texts_of is not None:
            known = await self._texts_of(act.conversation, act.space, act.messages)
            before = _bounded({id: said.written() for id, said in known.items()} | before)
        until = None if act.seconds is None else time.time() + act.seconds
        # Another try that came this far has written it already, and may have begun.
        return await self._write(
            one, lambda case: case if case.before is not None else replace(case, before=before, until=until)
        )

    async def _do(self, one: _Try, act: Act) -> Answer:
        """Asks the platform. Messages that a group had before it moved are out of reach."""
        messages = tuple(id for id in act.messages if "/" not in id)
        if act.messages and not messages:
            return Answer(Outcome.GONE)
        act = replace(act, messages=messages, before=await self._to_restore(one.place, one.case))
        span, seconds = one.enforcer.abilities[act.kind], act.seconds
        if one.case.until is not None:
            seconds = max(1, round(one.case.until - time.time()))
        answer = await one.enforcer.carry_out(act, span.native(seconds))
        if answer.outcome is Outcome.FORBIDDEN:
            await self._note_refusal(one.place, act, answer.key)
        elif answer.is_done:
            await self._ending.set(one.place, one.case, one.enforcer)
        return answer

    async def _to_restore(self, place: str, case: Case) -> Mapping[str, str]:
        """What was before the oldest of the acts that this one ends, where that is given back exactly."""
        kinds = {OPPOSITE[kind]: kind for kind in RESTORED_BY_HAND}
        ended = kinds.get(ActKind(case.kind))
        if ended is None:
            return {}
        others = await self._cases.newest(place, case.about)
        oldest = [other for other in others if other.kind == ended and other.state.is_in_force and not other.undoes]
        return (oldest[-1].before or {}) if oldest else {}

    async def _undo(self, one: _Try, act: Act) -> Case:
        """Gives back what was before another act, and notes that there."""
        other = await self._cases.get(one.place, act.undoes)
        if other is None:
            return await self._write(one, _failed(Answer(Outcome.GONE)))
        if other.state is CaseState.PLANNED:
            raise OutboundError(OutboundFault.RATE_LIMITED, "what it undoes is not done yet", retry_after=1.0)
        number = one.case.number
        if act.kind is not ActKind.UNDO:
            # One of several who undo the same does it: what was deleted would be said twice.
            other = await self._cases.change(one.place, other.number, lambda case: taken_back_by(case, number)) or other
        is_left = act.kind is ActKind.UNDO and (other.state.is_in_force or other.gives_strikes)
        if not is_left and other.undone_by != number:
            return await self._write(one, lambda case: _with(case, Answer(Outcome.NOTHING)))
        if act.kind is ActKind.UNDO:
            answer = Answer(Outcome.DONE)
        else:
            act = replace(act, before=to_give_back(other), messages=other.messages, evidence=other.evidence)
            faults.reached("planned")
            answer = await one.enforcer.carry_out(act, None)
            faults.reached("enforced")
        if answer.is_done:
            await self._ending.drop(one.place, other.number)
            await self._cases.change(
                one.place, other.number, lambda case: replace(case, state=CaseState.UNDONE, undone_by=number)
            )
            await self._revive(one.place, other)
        case = await self._write(one, lambda case: _with(replace(case, before=case.before or {}), answer))
        await self._ending.resume(one.place, case)
        return case

    async def _end_others(self, place: str, case: Case) -> None:
        """What somebody ended by doing the opposite is over."""
        if kind_of(case) not in OPPOSITE.values():
            return
        for other in await self._cases.newest(place, case.about):
            if is_ended_by(other, case):
                await self._ending.drop(place, other.number)
                await self._cases.change(
                    place,
                    other.number,
                    lambda each: (
                        replace(each, state=CaseState.ENDED, undone_by=case.number) if each.state.is_in_force else each
                    ),
                )
        await self._ending.resume(place, case)

    async def _revive(self, place: str, ender: Case) -> None:
        """What a case ended by doing the opposite holds again once that is undone."""
        for other in await self._cases.newest(place, ender.about):
            if other.state is CaseState.ENDED and other.undone_by == ender.number:
                await self._cases.change(
                    place, other.number, lambda each: replace(each, state=CaseState.DONE, undone_by=0)
                )

    async def _tell(self, one: _Try, act: Act) -> bool:
        """Whether they are told, now or by another try."""
        if one.case.is_told or act.is_quiet or not act.account:
            return one.case.is_told
        # They may be out of reach now, and come by themselves.
        recourse = await self._recourse_of(one.place, one.case) if self._recourse_of else None
        site = Site(act.conversation, act.space)
        known = await one.enforcer.know(site, act.account, act.actor.account)
        if known is None or not known.is_here:
            return False
        is_told = await one.enforcer.tell(site, act.account, told(one.case, known.language, recourse), f"act:{act.id}")
        faults.reached("told")
        return is_told

    async def _tell_after(self, one: _Try, act: Act) -> bool:
        """The same of what is done already."""
        try:
            return await self._tell(one, act)
        except (RightsUnknownError, OutboundError) as error:
            log.warning("somebody was not told of an act", place=one.place, number=one.case.number, cause=str(error))
            return False

    async def _close(self, one: _Try, case: Case) -> None:
        """Tells those who want to know, and is done with it."""
        if not one.claim.is_end:
            if case.state is CaseState.FAILED:
                if case.undoes:
                    await self._cases.change(one.place, case.undoes, lambda other: left_by(other, case.number))
                await self._ending.resume(one.place, case)
            elif not case.undoes:
                await self._end_others(one.place, case)
        for listener in self._listeners:
            try:
                await listener(one.place, case)
            except (StorageError, OutboundError, RightsUnknownError) as error:
                log.warning("what was done is told later", place=one.place, number=case.number, cause=str(error))
                await self._planned.later(one.claim, LISTEN_AGAIN_SECONDS)
                return
            except Exception:
                log.exception("who listens to acts failed", place=one.place, number=case.number)
        await self._planned.drop(one.claim)

    async def _failed(self, one: _Try, error: OutboundError) -> None:
        match error.fault:
            case OutboundFault.TRANSIENT:
                await self._again(one, error.detail)
            case OutboundFault.RATE_LIMITED:
                await self._planned.later(one.claim, min(LONGEST_PAUSE, max(1.0, error.retry_after)))
            case OutboundFault.FORBIDDEN | OutboundFault.CLOSED:
                await self._give_up(one, Answer(Outcome.FORBIDDEN, "", error.detail))
            case _:
                await self._give_up(one, Answer(Outcome.REFUSED, "", error.detail))

    async def _again(self, one: _Try, why: str) -> None:
        """The platform is away. Ends are waited for as long as it takes; an act is given up some day."""
        case = await self._write(one, lambda case: replace(case, tries=case.tries + 1))
        log.warning("an act waits for its platform", place=one.place, number=case.number, tries=case.tries, cause=why)
        if case.tries > MOST_TRIES and not one.claim.is_end:
            await self._give_up(one, Answer(Outcome.REFUSED, "act_unreachable", why))
        else:
            await self._planned.later(one.claim, pause(case.tries))

    async def _give_up(self, one: _Try, answer: Answer) -> None:
        """It is not tried again. What could not be ended was done, and is in force."""
        change = _unended(answer) if one.claim.is_end else _failed(answer)
        await self._close(one, await self._write(one, change))

    async def _write(self, one: _Try, change: Callable[[Case], Case]) -> Case:
        case = await self._cases.change(
            one.place, one.case.number, change, member=one.claim.member, token=one.claim.token
        )
        # It went with the oldest of its book.
        return change(one.case) if case is None else case


def _refused_key(place: str, act: Act) -> str:
    """What the bot may do to people is one thing in all of a space, the rest may differ from channel to channel."""
    return keys.CaseKeys(place).refused(act.kind, "" if act.kind in ON_PEOPLE else act.conversation.chat)


def _bounded(before: Mapping[str, str]) -> dict[str, str]:
    """As much of what was said as is kept in a case."""
    kept, left = dict[str, str](), MOST_SAID
    for id, text in before.items():
        left -= len(text)
        if left >= 0:
            kept[id] = text
    return kept


def pause(tries: int) -> float:
    """Seconds before the next try: 1, 2, 4 …"""
    return min(LONGEST_PAUSE, 2.0 ** max(0, tries - 1))


def _failed(answer: Answer) -> Callable[[Case], Case]:
    return lambda case: replace(case, state=CaseState.FAILED, answers=(*case.answers, answer)[-20:])


def _unended(answer: Answer) -> Callable[[Case], Case]:
    return lambda case: replace(case, state=CaseState.PARTLY, until=None, answers=(*case.answers, answer)[-20:])


def _with(case: Case, answer: Answer) -> Case:
    """The case with what came of it."""
    if not answer.is_done:
        state = CaseState.FAILED
    elif answer.key or (case.messages and 0 < answer.count < len(case.messages)):
        state = CaseState.PARTLY
    else:
        state = CaseState.DONE
    return replace(case, state=state, answers=(*case.answers, answer))
