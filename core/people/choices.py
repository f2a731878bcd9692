"""Which choice holds: the call's own, else the conversation's, else the space's, else the person's, else the
configuration's. In a private chat a person chooses for themselves, wherever they write from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.conversation.history import History
from core.conversation.preferences import Preferences
from core.message import CommandCall
from core.people.identity import People, Person, account_of
from core.people.spaces import USUAL, SpaceSettings

OF_PEOPLE = ("model", "language", "persona")
"""What follows a person from chat to chat and from platform to platform; all else is a conversation's."""


def allowed_models(models: Sequence[str], space: SpaceSettings) -> tuple[str, ...]:
    """The names among ``models`` that may be used in a space: none where those that it allows are there no more. Its
    administrators may have had reasons against all others."""
    return tuple(name for name in models if name in space.models) if space.models else tuple(models)


def chosen(preferences: Preferences, space: SpaceSettings = USUAL, person: Person | None = None) -> Preferences:
    """A conversation's preferences with what its space and the person chose in place of what nobody chose for it."""
    person = person or Person()
    return replace(
        preferences,
        model=preferences.model or space.model or person.model,
        language=preferences.language or space.language or person.language,
        persona=preferences.persona or space.persona or person.persona,
    )


def model_of(
    models: Sequence[str],
    default: str,
    preferences: Preferences,
    space: SpaceSettings = USUAL,
    person: Person | None = None,
    *,
    asked: str = "",
    preferred: str = "",
) -> str:
    """The name of the model that answers, of those there are. A choice may outlive its model, or be one that the space
    does not allow: then the next one holds.

    ``asked`` is what the call itself names, ``preferred`` what the persona does; ``default`` is the configuration's.
    Empty where there is none.
    """
    allowed = allowed_models(models, space)
    own = person.model if person else ""
    wanted = (asked, preferences.model, space.model, own, preferred, default)
    return next((name for name in wanted if name in allowed), allowed[0] if allowed else "")


async def keep(history: History, people: People, call: CommandCall, name: str, value: str) -> None:
    """Keeps what was chosen: in a private chat with the person, where it is one of :data:`OF_PEOPLE`, else with the
    conversation. An empty value takes the choice back. Raises Conflict, StorageError."""
    if not (call.private and name in OF_PEOPLE):
        await history.choose(call.conversation, name, value)
        return
    account = account_of(call.author, call.conversation.platform)
    await people.change(account, lambda person: person.model_copy(update={name: value}))
    if getattr(await history.preferences(call.conversation), name, ""):
        # It was chosen for this one chat, when there was no other way.
        await history.choose(call.conversation, name, "")
