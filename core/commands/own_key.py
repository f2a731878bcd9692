"""The commands about a person's own API keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from core.commands.row import Room
from core.commands.secret import revealed
from core.errors import ModelError, ModelFault
from core.message import CommandCall
from core.models.own_wires import LONGEST, OwnKeyError
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people import own_keys
from core.people.identity import account_of
from core.storage.sealing import SealedError
from core.texts import say

DONE = Finished(Ending.COMPLETE)
CHECK_SECONDS = 15.0


async def show(room: Room) -> AsyncIterator[Part]:
    """For which providers there is one, and how it ends."""
    person = room.turn.person
    if refusal := _refusal(room):
        yield refusal
    elif not person.keys:
        yield Notice("own_key_how", {"providers": ", ".join(_providers(room)) or "–"})
    else:
        keys = own_keys.opened(person, room.community.sealing)
        lines = [_line(provider, key, room.language) for provider, key in sorted(keys.items())]
        also = "own_key_shares" if person.key_shares else "own_key_alone"
        yield TextDelta("\n".join((say("own_key_head", room.language), "", *lines, "", say(also, room.language))))
    yield DONE


async def set_key(room: Room) -> AsyncIterator[Part]:
    """Keeps a key once its provider has taken it. What was typed is never said again."""
    yield await _set(room)
    yield DONE


async def remove(room: Room) -> AsyncIterator[Part]:
    """Forgets one, or all."""
    provider = room.value("provider").lower()
    call = room.call
    account = account_of(call.author, call.conversation.platform)
    was = await own_keys.remove(room.community.people, account, provider)
    yield Notice("own_key_removed" if was else "own_key_none")
    yield DONE


async def fallback(room: Room) -> AsyncIterator[Part]:
    """Whether the community's budget may be used where an own key fails."""
    wanted = room.value("on").lower()
    if wanted not in ("true", "false", "on", "off"):
        yield Notice("own_key_fallback_how")
    else:
        shares = wanted in ("true", "on")
        account = account_of(room.call.author, room.call.conversation.platform)
        await room.community.people.change(account, lambda person: person.model_copy(update={"key_shares": shares}))
        yield Notice("own_key_shares" if shares else "own_key_alone")
    yield DONE


def _refusal(room: Room) -> Notice | None:
    return None if room.community.sealing.is_on else Notice("own_key_off")


async def _set(room: Room) -> Notice:
    call = room.call
    if not (call.private or call.reply_token):
        return Notice("own_key_public")
    if refusal := _refusal(room):
        return refusal
    try:
        provider, key = _given(room, revealed(call, room.community.sealing))
    except SealedError:
        return Notice("own_key_how", {"providers": ", ".join(_providers(room)) or "–"})
    if provider not in _providers(room) or not _is_key(key):
        return Notice("own_key_how", {"providers": ", ".join(_providers(room)) or "–"})
    if (failure := await _failure(room, provider, key)) is not None:
        return failure
    account = account_of(call.author, call.conversation.platform)
    await own_keys.keep(room.community.people, account, provider, key, room.community.sealing)
    return Notice("own_key_kept", {"provider": provider})


def _given(room: Room, call: CommandCall) -> tuple[str, str]:
    """Provider and key. Where there is one provider only, it need not be named."""
    provider, key = room.row.value(call, "provider"), room.row.value(call, "key")
    providers = _providers(room)
    if len(providers) == 1 and (not provider or not key) and provider.lower() not in providers:
        return providers[0], key or provider
    return provider.lower(), key


def _is_key(key: str) -> bool:
    return 8 <= len(key) <= LONGEST and key.isascii() and key.isprintable() and " " not in key


async def _failure(room: Room, provider: str, key: str) -> Notice | None:
    """What is wrong with a key, as far as its provider tells."""
    if room.try_key is None:
        return Notice("own_key_unchecked", {"provider": provider})
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await room.try_key(provider, key)
    except OwnKeyError as error:
        wrong = error.fault is ModelFault.UNAUTHORISED
        return Notice("own_key_refused" if wrong else "own_key_unchecked", {"provider": provider})
    except (ModelError, TimeoutError):
        return Notice("own_key_unchecked", {"provider": provider})
    return None


def _providers(room: Room) -> list[str]:
    return list(room.catalog.taking_keys)


def _line(provider: str, key: str, language: str) -> str:
    if not key:
        return f"- {provider}: {say('own_key_lost', language)}"
    end = own_keys.tail(key)
    return f"- {provider}: …{end}" if end else f"- {provider}"
