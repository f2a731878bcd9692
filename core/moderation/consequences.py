"""What follows when rules hit: from the effects that they ask for, the acts that automod orders. Pure.

The ids of acts come from what was hit, so that the same message brings about the same acts however often it is looked
at, and by however many processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.message import Arrival, Movement, Reacted, Seen, Sighting
from core.moderation.acts import AUTOMOD, Act, ActKind, Actor
from core.moderation.evidence import MAX_EVIDENCE, MAX_FILES, MAX_NAME, Evidence
from core.moderation.rules import Effects, Hit, merged
from core.texts import one_line

TOGETHER_SECONDS = 3600
"""Who is acted on because several came together is not acted on again for the next ones who come."""
BOT = Actor(AUTOMOD, "Automod")
SILENCING = frozenset((ActKind.BAN, ActKind.KICK, ActKind.MUTE, ActKind.QUARANTINE))


@dataclass(frozen=True, slots=True)
class Consequences:
    """What is to be done about one message, arrival or reaction."""

    acts: tuple[Act, ...] = ()
    answer: str = ""
    """What the bot says there."""
    stops: bool = False
    """The message is not answered: it goes, or its author may not talk."""


NOTHING = Consequences()


def consequences(hits: Sequence[Hit], seen: Seen, *, is_late: bool = False) -> Consequences:
    """What the live ones of the hits want. ``is_late``: it was said long ago, and moderators are to look at it, no
    more."""
    effects = merged(hits)
    if not effects:
        return NOTHING
    if is_late:
        return Consequences((_act(ActKind.FLAG, seen, effects),))
    acts = [*_on_people(seen, effects, hits), *_on_messages(seen, effects), *_on_the_place(seen, effects)]
    if effects.flag or not acts:
        acts.append(_act(ActKind.FLAG, seen, effects))
    return Consequences(_with_strikes_once(acts), effects.answer, effects.delete or effects.act in SILENCING)


def _with_strikes_once(acts: Iterable[Act]) -> tuple[Act, ...]:
    """The first act on somebody gives them the strikes: taking that one back takes them all back."""
    found, given = list[Act](), set[str]()
    for act in acts:
        is_first = bool(act.account) and act.account not in given
        given.add(act.account)
        found.append(act if is_first else replace(act, strikes=0))
    return tuple(found)


def _on_people(seen: Seen, effects: Effects, hits: Sequence[Hit]) -> Iterable[Act]:
    if effects.act is None:
        return
    is_asking = isinstance(seen, Arrival) and seen.movement is Movement.ASKED
    if is_asking:
        # Who is not in yet can be kept out, and nothing else.
        if effects.act in (ActKind.DECLINE, ActKind.KICK, ActKind.BAN):
            yield _act(ActKind.DECLINE, seen, effects)
        return
    if effects.act is ActKind.DECLINE:
        return
    first = replace(_act(effects.act, seen, effects), seconds=effects.seconds)
    if not isinstance(seen, Arrival):
        yield first
        return
    together = dict.fromkeys(account for hit in hits if hit.is_live for account in hit.accounts)
    for account in together or {seen.author.id: None}:
        name = first.name if account == seen.author.id else ""
        yield replace(first, id=_id(seen, effects.act, account, _hour(seen.at)), account=account, name=name)


def _on_messages(seen: Seen, effects: Effects) -> Iterable[Act]:
    if not effects.delete or not isinstance(seen, Sighting):
        return
    by_place = {seen.conversation: {seen.id: seen.author.id}}
    for spot in effects.spots:
        by_place.setdefault(spot.conversation, {})[spot.id] = spot.account
    for conversation, ids in by_place.items():
        kind = ActKind.DELETE if len(ids) == 1 else ActKind.PURGE
        act = _act(kind, seen, effects, str(conversation))
        others = {id: account for id, account in ids.items() if account != seen.author.id}
        yield replace(act, conversation=conversation, messages=tuple(ids), authors=others)


def _on_the_place(seen: Seen, effects: Effects) -> Iterable[Act]:
    if effects.pause:
        yield replace(_placed(ActKind.SLOW, seen, effects), pause=effects.pause, seconds=effects.pause_seconds)
    if effects.lock:
        yield replace(_placed(ActKind.LOCK, seen, effects), seconds=effects.lock_seconds)


def _placed(kind: ActKind, seen: Seen, effects: Effects) -> Act:
    return replace(_act(kind, seen, effects), account="", name="", evidence=Evidence())


def _act(kind: ActKind, seen: Seen, effects: Effects, *more: str) -> Act:
    return Act(
        id=_id(seen, kind, *more, _event(seen)),
        kind=kind,
        conversation=seen.conversation,
        space=seen.space,
        actor=BOT,
        account=seen.author.id,
        name=one_line(seen.author.name, MAX_NAME),
        reason=effects.reason,
        at=seen.sent_at if isinstance(seen, Sighting) else seen.at,
        evidence=evidence_of(seen),
        rule=effects.rule,
        strikes=effects.strikes,
    )


def _id(seen: Seen, *what: str) -> str:
    text = "\t".join((str(seen.conversation.platform), seen.conversation.bot, seen.space, *what))
    return "rule:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _event(seen: Seen) -> str:
    """An edited message is another one, each time."""
    if isinstance(seen, Sighting):
        return f"{seen.conversation.chat} {seen.id} {seen.update if seen.edited else ''}"
    return seen.update


def _hour(at: float) -> str:
    return str(int(at // TOGETHER_SECONDS))


def evidence_of(seen: Seen) -> Evidence:
    """What was said, as it was then."""
    if isinstance(seen, Sighting):
        files = tuple(file.name[:MAX_NAME] for file in seen.attachments if file.name)[:MAX_FILES]
        return Evidence(seen.id, "", seen.text[:MAX_EVIDENCE], files)
    return Evidence(seen.message_id) if isinstance(seen, Reacted) else Evidence(text=seen.words[:MAX_EVIDENCE])
