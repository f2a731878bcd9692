"""What is kept about whoever asks: told in plain words, handed over, erased."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from core.commands.row import Room
from core.message import CommandCall, Platform
from core.models.model import LOCAL
from core.parts import Activity, Choice, Ending, Finished, Making, Media, Menu, Notice, Part, TextDelta
from core.people.erasing import CODE_SECONDS, LOOK_SECONDS, Erasures, Receipt
from core.people.export import Archives
from core.people.identity import account_of
from core.people.privacy import Subject
from core.people.sources import privacy as all_sources
from core.people.spaces import kept_days
from core.people.tidying import SETTLE_SECONDS
from core.storage.keys import BLOB_SECONDS, READING_SECONDS
from core.texts import Amount, Moment, say

DONE = Finished(Ending.COMPLETE)
NAME, EXPORT, ERASE, TRAINING, MOOD = "privacy", "export", "erase", "training", "mood"
ON, OFF = "on", "off"


async def privacy(room: Room) -> AsyncIterator[Part]:
    """Tells what is kept; ``export`` hands it over, ``erase`` asks for confirmation, ``erase CODE`` does it.
    ``training`` tells whether they agreed to have their conversations learned from, ``training on`` agrees; ``mood``
    tells whether their messages count where communities look at how people get on, ``mood off`` leaves them out."""
    action, code = room.value("action").lower(), room.value("code")
    if action in (TRAINING, MOOD):
        switched = _training if action == TRAINING else _mood
        for part in await switched(room, code.lower()):
            yield part
    elif action not in ("", EXPORT, ERASE) or (code and action != ERASE):
        yield Notice("privacy_how")
    elif not action:
        yield TextDelta("\n".join(_told(room)))
        yield _menu(room)
    elif not _is_alone(room.call):
        yield Notice("privacy_privately", {"name": NAME})
    elif not code and not await _erasures(room).may_look(_account(room), room.call, action):
        yield Notice("privacy_soon", {"seconds": LOOK_SECONDS})
    elif action == EXPORT:
        async for part in _exported(room):
            yield part
    elif not code:
        async for part in _asked(room):
            yield part
    else:
        yield Making(Activity.TEXT)
        yield await _erased(room, code)
    yield DONE


def _is_alone(call: CommandCall) -> bool:
    """Whether the answer is for the asker's eyes only."""
    return call.private or bool(call.reply_token)


def _account(room: Room) -> str:
    return account_of(room.call.author, room.call.conversation.platform)


def _erasures(room: Room) -> Erasures:
    return Erasures(room.community, room.history)


# ---- in plain words


def _told(room: Room) -> list[str]:
    """What holds here and now, from the settings."""
    settings, space, language = room.community.settings, room.turn.space, room.language
    days = kept_days(space, settings.storage.keep_days)
    hosts = sorted({model.provider for model in room.catalog.models if model.provider != LOCAL})
    lines = [
        say("privacy.kept", language, days=Amount(days, "day")),
        say(
            "privacy.files",
            language,
            pictures=Amount(BLOB_SECONDS // 3600, "hour"),
            readings=Amount(READING_SECONDS // 60, "minute"),
        ),
        say("privacy.chosen", language),
    ]
    if room.call.space:
        lines.append(say("privacy.passive_on" if space.passive else "privacy.passive_off", language))
        if space.mood and space.moderated:
            lines.append(say("privacy.mood", language))
        lines.append(say("privacy.case_days", language, days=Amount(settings.moderation.keep_days, "day")))
    lines.append(say("privacy.sums", language))
    lines.append(say("privacy.sealed" if settings.storage.encrypt else "privacy.open", language))
    if hosts:
        lines.append(say("privacy.hosts", language, names=", ".join(f"`{name}`" for name in hosts)))
    if len(hosts) < len({model.provider for model in room.catalog.models}):
        lines.append(say("privacy.local", language))
    lines.append(say("privacy.seen_group" if room.call.space else "privacy.seen_private", language))
    return [say("privacy_head", language), "", *(f"- {line}" for line in lines)]


def _menu(room: Room) -> Menu:
    choices = [
        Choice(say("button.privacy_export", room.language), f"{NAME} {EXPORT}"),
        Choice(say("button.privacy_erase", room.language), f"{NAME} {ERASE}"),
    ]
    return Menu((tuple(choices),), say("privacy_how", room.language))


# ---- learned from


async def _training(room: Room, wanted: str) -> list[Part]:
    """Switches it, or tells how it is."""
    agrees = room.turn.person.may_teach
    if wanted not in ("", ON, OFF):
        return [Notice("privacy_training_how")]
    if wanted:
        agrees = wanted == ON
        await room.community.people.change(
            _account(room), lambda person: person.model_copy(update={"may_teach": agrees})
        )
    key, other = ("privacy_training_on", OFF) if agrees else ("privacy_training_off", ON)
    switch = Choice(say(f"button.privacy_training_{other}", room.language), f"{NAME} {TRAINING} {other}")
    return [TextDelta(say(key, room.language)), Menu(((switch,),), say("privacy_training_how", room.language))]


# ---- counted with all others


async def _mood(room: Room, wanted: str) -> list[Part]:
    """Switches it, or tells how it is."""
    is_out = room.turn.person.is_out_of_mood
    if wanted not in ("", ON, OFF):
        return [Notice("privacy_mood_how")]
    if wanted:
        is_out = wanted == OFF
        await room.community.people.change(
            _account(room), lambda person: person.model_copy(update={"is_out_of_mood": is_out})
        )
    key, other = ("privacy_mood_out", ON) if is_out else ("privacy_mood_in", OFF)
    switch = Choice(say(f"button.privacy_mood_{other}", room.language), f"{NAME} {MOOD} {other}")
    return [TextDelta(say(key, room.language)), Menu(((switch,),), say("privacy_mood_how", room.language))]


# ---- handed over


async def _exported(room: Room) -> AsyncIterator[Part]:
    yield Making(Activity.FILE)
    what, _ = await all_sources(room.community, room.history)
    archives = Archives(room.language)
    async for data in archives.of(what, Subject.of(room.turn.person, _account(room))):
        name = f"parley-{archives.parts}.zip"
        yield Media(name, "application/zip", data)
    yield TextDelta(say("privacy_exported", room.language, count=archives.parts))
    if archives.left_out:
        yield Notice("privacy_left_out", {"count": archives.left_out})


# ---- erased


async def _asked(room: Room) -> AsyncIterator[Part]:
    what, _ = await all_sources(room.community, room.history)
    counts = await what.count(Subject.of(room.turn.person, _account(room)))
    code = await _erasures(room).ask(_account(room))
    time = Amount(CODE_SECONDS // 60, "minute")
    lines = [say("privacy_erase_head", room.language), "", *_counted(room, counts), ""]
    yield TextDelta("\n".join([*lines, say("privacy_erase_stays", room.language, time=time)]))
    command = f"{NAME} {ERASE} {code}"
    choice = Choice(say("button.privacy_erase_now", room.language), command)
    yield Menu(((choice,),), say("privacy_erase_how", room.language, command=f"`/{command}`"))


async def _erased(room: Room, code: str) -> Part:
    receipt = await _erasures(room).run(code, room.call, room.turn.person, _account(room))
    return Notice("privacy_code") if receipt is None else TextDelta("\n".join(_receipt(room, receipt)))


def _counted(room: Room, counts: Mapping[str, int]) -> list[str]:
    told = [f"- {say(f'privacy.{name}', room.language, count=count)}" for name, count in counts.items()]
    return told or [f"- {say('privacy.nothing', room.language)}"]


def _receipt(room: Room, receipt: Receipt) -> list[str]:
    language = room.language
    lines = [say("privacy_erased_head", language, when=Moment(receipt.at)), "", *_counted(room, receipt.counts), ""]
    stays = ["privacy.stays_sums"]
    if receipt.counts.get("cases"):
        stays.append("privacy.stays_cases")
    if receipt.still_barred:
        stays.append("privacy.stays_barred")
    if room.call.conversation.platform is not Platform.WEB:
        stays.append("privacy.stays_platform")
    stays.append("privacy.stays_logs")
    lines += [say("privacy_stays_head", language), "", *(f"- {say(key, language)}" for key in stays)]
    return [*lines, "", say("privacy_traces", language, time=Amount(SETTLE_SECONDS // 60, "minute"))]
