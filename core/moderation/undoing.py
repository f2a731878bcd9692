"""What takes an act back, and which of several acts on somebody holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.moderation.acts import LASTING, OPPOSITE, Act, ActKind, Actor, Outcome
from core.moderation.cases import Case, CaseKind, CaseState
from core.texts import Value

_BACK: Mapping[ActKind, ActKind] = {
    **{ended: begun for begun, ended in OPPOSITE.items() if ended is not ActKind.REPOST},
    **OPPOSITE,
    ActKind.WARN: ActKind.UNDO,
}
"""What takes an act back, with the state before it."""
_VOICE = frozenset((ActKind.MUTE, ActKind.UNMUTE, ActKind.RESTRICT, ActKind.UNRESTRICT))
_DOOR = frozenset((ActKind.BAN, ActKind.UNBAN))
_VOIDS: Mapping[ActKind, frozenset[ActKind]] = {
    ActKind.MUTE: _VOICE | _DOOR | {ActKind.QUARANTINE},
    ActKind.RESTRICT: _VOICE | _DOOR | {ActKind.QUARANTINE},
    ActKind.QUARANTINE: _DOOR | {ActKind.QUARANTINE, ActKind.RELEASE, ActKind.MUTE, ActKind.RESTRICT},
    ActKind.BAN: _DOOR,
    ActKind.SLOW: frozenset((ActKind.SLOW, ActKind.UNSLOW)),
    ActKind.LOCK: frozenset((ActKind.LOCK, ActKind.UNLOCK)),
}
"""After which later acts an older one's end is nobody's business any more. Muting and restricting are one state on
Telegram, and letting somebody speak there lets the banned in. The end of a quarantine gives a voice back, too."""
RESTORED_BY_HAND = frozenset((ActKind.QUARANTINE, ActKind.SLOW, ActKind.LOCK))
"""Whoever ends one of these by hand gives back what was before, too; who ends another wants it gone, whatever was
before. An end by time gives all of them back."""


class Refused(Exception):
    """It cannot be undone: the key of a sentence, and its values."""

    def __init__(self, key: str, values: Mapping[str, Value] | None = None) -> None:
        super().__init__(key)
        self.key = key
        self.values = values or {}


@dataclass(frozen=True, slots=True)
class Undoing:
    """Who takes what back."""

    actor: Actor
    id: str
    """Of the act that does it."""
    at: float
    """Unix seconds."""


def kind_of(case: Case) -> ActKind | None:
    """What kind of act a case keeps; None where it is none."""
    return ActKind(case.kind) if case.kind in set(ActKind) else None


def taken_back_by(case: Case, number: int) -> Case:
    """A case that another one begins to take back: no third does it meanwhile."""
    return replace(case, undone_by=number) if case.state.is_in_force and not case.undone_by else case


def left_by(case: Case, number: int) -> Case:
    """A case that the other one could not take back."""
    return replace(case, undone_by=0) if case.state.is_in_force and case.undone_by == number else case


def to_give_back(case: Case) -> Mapping[str, str]:
    """What was before an act. Of messages of which some were too old to be deleted, platforms leave the oldest."""
    before, answer = case.before or {}, case.answers[-1] if case.answers else None
    if answer is None or not answer.key or case.kind not in (CaseKind.DELETE, CaseKind.PURGE):
        return before
    gone = sorted(case.messages, key=lambda id: (len(id), id))[max(0, len(case.messages) - answer.count) :]
    return {id: before[id] for id in gone if id in before}


def takes_back(case: Case) -> ActKind | None:
    """The act that takes a case back; None where nothing does."""
    kind = kind_of(case)
    return _BACK.get(kind) if kind is not None else None


def voids(older: Case, later: Case) -> bool:
    """Whether an act holds in place of an older one on the same person or place: it holds, or is about to."""
    kind, after = kind_of(older), kind_of(later)
    if kind is None or after is None or later.number <= older.number or later.undoes:
        return False
    if after in OPPOSITE.values() and later.answers and later.answers[-1].outcome is Outcome.NOTHING:
        # What was not there was not given back: who is muted stays so when somebody lifts a ban that they do not have.
        return False
    return after in _VOIDS.get(kind, ()) and (later.state.is_in_force or later.state is CaseState.PLANNED)


def replaced_later(case: Case, others: Sequence[Case]) -> bool:
    """Whether another act was meant to hold in its place at some time, so that the platform's own end of it is gone."""
    kinds = _VOIDS.get(ActKind(case.kind), frozenset[ActKind]())
    return any(other.number > case.number and kind_of(other) in kinds for other in others)


def stops_renewal(older: Case, later: Case) -> bool:
    """Whether an act is not to be set anew since a later one of its own kind, or a ban, holds in its place."""
    kind, after = ActKind(older.kind), kind_of(later)
    return voids(older, later) and after in (kind, OPPOSITE[kind], ActKind.BAN)


def is_void(case: Case, others: Sequence[Case]) -> bool:
    """Whether any of the others holds in its place."""
    return any(voids(case, other) for other in others)


def is_ended_by(case: Case, act: Case) -> bool:
    """Whether somebody ended an act by doing its opposite."""
    kind = kind_of(case)
    if kind is None or kind not in LASTING or act.undoes or case.number >= act.number or not case.state.is_in_force:
        return False
    return OPPOSITE[kind] == act.kind


def holding(others: Sequence[Case]) -> Case | None:
    """The newest of the acts with an end that holds, of cases about one person or place."""
    lasting = [case for case in others if kind_of(case) in LASTING and case.state.is_in_force and not case.undoes]
    return next((case for case in sorted(lasting, key=lambda c: -c.number) if not is_void(case, others)), None)


def act_against(case: Case, place: str, undoing: Undoing) -> Act:
    """The act that takes a case back. Raises Refused."""
    number: Mapping[str, Value] = {"number": str(case.number)}
    if case.undoes or case.kind in (CaseKind.UNDO, CaseKind.REPOST):
        raise Refused("undo_undoing", number)
    back = takes_back(case)
    if _has_strikes_alone(case):
        back = ActKind.UNDO
    elif case.state is CaseState.UNDONE or case.undone_by:
        raise Refused("undo_already", number)
    elif case.state in (CaseState.FAILED, CaseState.ENDED):
        raise Refused("undo_over", number)
    if back is None:
        raise Refused(f"undo_never.{case.kind}" if case.kind in _NEVER else "undo_never.else", number)
    act = case.as_act(place)
    return Act(
        id=undoing.id,
        kind=back,
        conversation=act.conversation,
        space=act.space,
        actor=undoing.actor,
        account=case.account,
        name=case.name,
        messages=case.messages,
        pause=case.pause,
        at=undoing.at,
        undoes=case.number,
        where=case.where,
        is_quiet=case.is_quiet,
    )


def _has_strikes_alone(case: Case) -> bool:
    """Its strikes are all that is left to be taken back: it is over, or cannot be undone."""
    return case.gives_strikes and (not case.state.is_in_force or takes_back(case) is None)


_NEVER = frozenset((CaseKind.KICK, CaseKind.APPROVE, CaseKind.DECLINE))


def later_on(case: Case, others: Sequence[Case]) -> Case | None:
    """The act that has to be undone before this one, since it came later and holds in its place."""
    if _has_strikes_alone(case):
        return None
    return next((other for other in others if voids(case, other)), None)
