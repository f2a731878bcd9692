"""From a moderator's command to its receipt: checked, confirmed where it is big, ordered, told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from core.commands.row import Room
from core.errors import OutboundError, RightsUnknownError
from core.moderation.acts import MOST_MESSAGES, Act, ActKind, Answer, Outcome
from core.moderation.carrying import Acts
from core.moderation.cases import Case, CaseKind, CaseState, space_of
from core.moderation.checking import bot_lacks
from core.moderation.telling import TOLD, amount, quoted
from core.moderation.undoing import takes_back
from core.parts import Choice, Menu, Notice, Part, TextDelta
from core.storage import keys
from core.storage.client import Store
from core.storage.proposals import Proposals
from core.texts import Label, Moment, Value, say

WAIT_SECONDS = 8.0
"""How long a receipt is waited for; then it is said that the platform does not answer."""
CONFIRM_SECONDS = 120
BIG_PURGE = 20
"""Messages that are deleted without being asked."""
MOST_PEOPLE = 25
"""That one command acts on."""
CONFIRM, NO = "confirm", "no"


async def act_out(room: Room, hands: Acts, acts: Sequence[Act], *, is_confirmed: bool = False) -> AsyncIterator[Part]:
    """The acts that may be done are, or are asked about first; for the others the reason is said."""
    fit: list[Act] = []
    for act in acts:
        refusal = await _checked(room, hands, act)
        if refusal is None:
            fit.append(act)
        elif len(acts) == 1:
            yield refusal
        else:
            why = say(refusal.key, room.language, **refusal.values)
            yield Notice("act_some_refused", {"name": _called(act.name, act.account), "why": why})
    if not fit:
        return
    if is_big(fit) and not is_confirmed:
        async for part in ask(room.community.store, room.call.author.id, room.language, fit):
            yield part
        return
    numbers = await hands.order(fit)
    cases = await hands.carried(fit[0].place, numbers, WAIT_SECONDS)
    for case in cases:
        for notice in receipt(room, case):
            yield notice
    if len(cases) == 1 and (menu := _undo_menu(room, cases[0])):
        yield menu


def is_big(acts: Sequence[Act]) -> bool:
    """Whether whoever asks for these is asked whether they mean it."""
    return len(acts) > 1 or any(act.kind is ActKind.BAN or len(act.messages) > BIG_PURGE for act in acts)


async def confirmed(room: Room, hands: Acts, id: str) -> AsyncIterator[Part]:
    """What was asked about, exactly as it was shown, by whoever asked for it. Rights are asked anew."""
    place = space_of(room.call)
    plan = await _planned(room, place, id)
    if plan is None:
        yield Notice("confirm_over")
    elif plan["by"] != room.call.author.id:
        yield Notice("confirm_not_yours")
    elif not await _take(room, id):
        yield Notice("confirm_over")
    else:
        acts = [Case.from_json(text, 0).as_act(place) for text in plan["acts"]]
        async for part in act_out(room, hands, acts, is_confirmed=True):
            yield part


async def dropped(room: Room, id: str) -> Notice:
    """It is not to be done after all."""
    plan = await _planned(room, space_of(room.call), id)
    if plan is None:
        return Notice("confirm_over")
    if plan["by"] != room.call.author.id:
        return Notice("confirm_not_yours")
    return Notice("confirm_dropped" if await _take(room, id) else "confirm_over")


def receipt(room: Room, case: Case) -> list[Notice]:
    """What came of an act, in a few words."""
    platform, number = Label("platform", room.call.conversation.platform), str(case.number)
    values: dict[str, Value] = {"number": number}
    answer = case.answers[-1] if case.answers else Answer(Outcome.DONE)
    if case.state is CaseState.PLANNED:
        return [Notice("act_waiting", {**values, "platform": platform})]
    if case.state is CaseState.FAILED:
        return [_failure(room, answer, {**values, "platform": platform})]
    if answer.outcome is Outcome.NOTHING and case.kind not in TOLD:
        return [Notice("act_nothing", values)]
    told = [_success(case, answer)]
    if case.until is not None:
        told.append(Notice("act_until", {"until": Moment(datetime.fromtimestamp(round(case.until), UTC))}))
    if answer.key:
        told.append(Notice(answer.key))
    if case.kind in TOLD and not case.is_told:
        told.append(Notice("warned_unheard" if case.kind is CaseKind.WARN else "act_unheard"))
    return told


def _success(case: Case, answer: Answer) -> Notice:
    if case.kind is CaseKind.WARN:
        return Notice("warned", {"name": _called(case.name, case.account), "number": str(case.number)})
    values: dict[str, Value] = {"number": str(case.number)}
    if case.account and case.kind not in (CaseKind.PURGE, CaseKind.DELETE, CaseKind.PIN, CaseKind.UNPIN):
        values["name"] = _called(case.name, case.account)
    if case.kind is CaseKind.PURGE:
        values["found"] = answer.count or len(case.messages)
    return Notice(f"act_done.{case.kind}", values)


def _failure(room: Room, answer: Answer, values: dict[str, Value]) -> Notice:
    if answer.key and (said := bot_lacks(answer.key, room.call.conversation.platform)):
        return said
    match answer.outcome:
        case Outcome.GONE:
            return Notice("act_gone", {"number": values["number"]})
        case Outcome.FORBIDDEN:
            return Notice("act_forbidden", {"number": values["number"]})
        case _:
            return Notice("act_refused", values)


def _undo_menu(room: Room, case: Case) -> Menu | None:
    if not case.state.is_in_force or case.undoes or takes_back(case) is None:
        return None
    return Menu(((Choice(say("button.undo_act", room.language), f"undo {case.number}"),),))


async def _checked(room: Room, hands: Acts, act: Act) -> Notice | None:
    try:
        return await hands.check(act, room.call)
    except OutboundError as error:
        raise RightsUnknownError(error.detail) from error


async def ask(store: Store, by: str, language: str, acts: Sequence[Act]) -> AsyncIterator[TextDelta | Menu]:
    """Shows what would be done, and buttons by which that person alone can have it done, once. Raises StorageError."""
    plan = {"by": by, "acts": [Case.of(act).to_json() for act in acts]}
    id = await Proposals(store).keep(acts[0].place, json.dumps(plan, ensure_ascii=False), seconds=CONFIRM_SECONDS)
    yield TextDelta("\n".join(_plan_in_words(acts, language)))
    yes = Choice(say("button.confirm", language), f"{CONFIRM} {id}")
    no = Choice(say("button.cancel", language), f"{CONFIRM} {id} {NO}")
    yield Menu(((yes, no),), say("confirm_typed", language, name=CONFIRM, id=id))


def _plan_in_words(acts: Sequence[Act], language: str) -> list[str]:
    first = acts[0]
    if first.kind is ActKind.PURGE:
        lines = [say("confirm_purge", language, found=min(len(first.messages), MOST_MESSAGES))]
    else:
        names = ", ".join(_called(act.name, act.account) for act in acts)
        lines = [say("confirm_people", language, act=Label("act", first.kind), names=names)]
    if first.seconds is not None:
        lines.append(say("confirm_for", language, span=amount(first.seconds)))
    if first.delete_seconds:
        lines.append(say("confirm_delete", language, span=amount(first.delete_seconds)))
    if first.reason:
        lines.append(say("act_told_reason", language, reason=quoted(first.reason)))
    if takes_back(Case.of(first)) is None:
        lines.append(say("confirm_never", language))
    return lines


async def _planned(room: Room, place: str, id: str) -> dict[str, Any] | None:
    """What was asked about under that id; None where that is over, or it was something else."""
    kept = await Proposals(room.community.store).find(place, id)
    try:
        plan: Any = json.loads(kept or "null")
    except ValueError:
        return None
    return cast("dict[str, Any]", plan) if isinstance(plan, dict) and "acts" in plan else None


async def _take(room: Room, id: str) -> bool:
    """Whether this call is the one that counts: the first, also where another process runs it again."""
    redis, name = room.community.store.redis, keys.recently(f"confirm:{id}")
    if await room.community.store.attempt(lambda: redis.set(name, room.call.id, nx=True, ex=CONFIRM_SECONDS)):
        return True
    return await room.community.store.attempt(lambda: redis.get(name)) == room.call.id


def _called(name: str, account: str) -> str:
    return quoted(name) or f"`{account}`"
