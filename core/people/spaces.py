"""What a community chose for itself: the settings of a space, which its administrators change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from core.message import ConversationKey
from core.storage.client import Store
from core.storage.records import Record, Records


class Allowance(Record):
    """How much may be spent in a day and in a month. None: as much as whoever runs Parley allows."""

    day_money: int | None = None
    """Millionths of a currency unit."""
    month_money: int | None = None
    day_images: int | None = None
    month_images: int | None = None
    day_seconds: int | None = None
    """Seconds of sound, heard and spoken."""
    month_seconds: int | None = None


class Grant(Record):
    """A single right, given or taken away."""

    right: str
    """A ``core.access.Right``."""
    allowed: bool
    who: str
    """``role:moderator`` (a ``core.access.Role``), ``platform-role:ID`` (a role of Discord's), ``person:ID`` or
    ``everyone``."""
    channel: str = ""
    """Only in this channel; empty: everywhere in the space."""


class SpaceSettings(Record):
    """Empty fields and None: nobody chose, so the configuration holds."""

    model: str = ""
    models: tuple[str, ...] = ()
    """Names of the models that may be used there; empty: all."""
    persona: str = ""
    """Name of the persona that speaks there."""
    own_voice: bool | None = None
    """Whether personas that were chosen for all speak under their own names, where the platform can (Discord)."""
    language: str = ""
    """Of what Parley itself says."""
    answers: Literal["", "mentions", "always"] = ""
    """What is answered: what turns to the bot, or everything that people say."""
    passive: bool | None = None
    """Whether the bot reads what is not for it, so that it knows what was talked about."""
    moderated: bool | None = None
    """Whether the space's rules look at all that is said there (``core/moderation/rules.py``)."""
    documents: Literal["", "also", "only", "off"] = ""
    """Whether answers go by the space's documents: also by them, by nothing else, or not."""
    image_size: Literal["", "square", "wide", "tall"] = ""
    keep_days: int | None = None
    """Days after its last message that a conversation there is forgotten (:func:`kept_days`)."""
    allowance: Allowance = Allowance()
    """What all of the space may spend together."""
    person_allowance: Allowance = Allowance()
    """What each person may spend there."""
    person_limit: str = ""
    """How often a person may ask there, like ``10/minute``."""
    space_limit: str = ""
    """How often all of them together may."""
    check_pictures: bool | None = None
    """Whether pictures in what the rules look at are looked at, too (``core/moderation/pictures.py``)."""
    mood: bool | None = None
    """Whether it is counted there how people get on, for all together (``core/mood/counting.py``); where
    :attr:`moderated` is on."""
    mood_digest: bool | None = None
    """Whether its moderators are told of each week on Monday (``core/mood/digest.py``); where :attr:`mood` is on."""
    join_check: Literal["", "off", "button", "question"] = ""
    """How those who come show that they are people (``core/moderation/joining.py``); where :attr:`moderated` is on."""
    join_question: str = ""
    join_answers: tuple[str, ...] = ()
    """What can be answered to it; the first is right."""
    join_minutes: int | None = None
    """The time for an answer."""
    raid: str = ""
    """If so many come, like ``10/minute``, it is a raid (``core/moderation/raids.py``); where :attr:`moderated` is
    on."""
    raid_does: Literal["", "check", "lock"] = ""
    """What a raid brings: everybody who comes is checked, and slow mode; or nobody may write."""
    raid_minutes: int | None = None
    """A raid is over when nobody has come for so long."""
    raid_channels: tuple[str, ...] = ()
    """Which are slowed or locked; empty: where arrivals are told of."""
    only_channels: tuple[str, ...] = ()
    """The bot is silent everywhere but in these channels; empty: everywhere allowed."""
    not_channels: tuple[str, ...] = ()
    """The bot is silent in these channels."""
    quiet: str = ""
    """Quiet hours, like ``22:00-07:00``: what is not an administrator's is not answered then."""
    time_zone: str = ""
    strike_days: int | None = None
    """Days that a strike counts (``core/moderation/strikes.py``)."""
    ladder: str = ""
    """What follows at how many strikes, as ``core.moderation.steps.written`` has it; empty: nothing."""
    joined: tuple[str, ...] = ()
    """Spaces of the same community, by their ids: strikes of the same person there count here, and theirs there, where
    both name each other (``core/people/kin.py``)."""
    appeal_days: int | None = None
    """Days in which somebody can appeal against what was done to them (``core/moderation/appeals.py``); 0: not at
    all."""
    report_alert: int | None = None
    """So many different members have to report somebody within an hour for the moderators to be alerted
    (``core/moderation/reports.py``)."""
    report_hides: Literal["", "off", "delete", "mute"] = ""
    """What is done then by itself: the messages are deleted, or their author is muted for ten minutes."""
    log_channel: str = ""
    """Id of the channel in which all that is done to people is told (``core/moderation/posting.py``); empty: where
    reports go."""
    roles: Mapping[str, str] = {}
    """Person's id -> ``core.access.Role`` that stands in place of what the platform says."""
    grants: tuple[Grant, ...] = ()
    tools: tuple[str, ...] = ()
    """What models may ask for there (``core.tools.tool.Tool.allowed_as``), or ``off``; empty: all that there is."""
    blocked_words: tuple[str, ...] = ()
    """What may not be asked for there, nor be in answers that are held back (``core.safety.words``)."""
    check_answers: bool | None = None
    """Whether answers are held back until they are whole and were looked at."""
    broadcasts: bool | None = None
    """Whether announcements of whoever runs Parley come here."""
    announcements: str = ""
    """Id of the channel in which they come; empty: the platform's own for notes, or the group."""
    label_text: bool | None = None
    """Whether a line under what models make says that it is AI-generated."""
    label_mark: bool | None = None
    """Whether pictures carry a visible mark that says so."""


USUAL = SpaceSettings()
"""Where nobody chose anything, and in private chats."""


def kept_days(space: SpaceSettings, usual: int) -> int:
    """Days after its last message that a conversation there is forgotten. ``usual`` is the setting
    ``storage.keep_days``: no space keeps conversations for longer than whoever runs Parley."""
    return usual if space.keep_days is None else max(1, min(space.keep_days, usual))


def space_id(conversation: ConversationKey, space: str) -> str:
    """A space's name among those of all bots; empty in private chats."""
    return f"{conversation.platform}:{conversation.bot}:{space}" if space else ""


class Spaces:
    """All spaces' settings."""

    def __init__(self, store: Store) -> None:
        self.records = Records(store, "spaces", USUAL)

    async def of(self, id: str) -> SpaceSettings:
        """A space's settings (:func:`space_id`), as this process knows them. Raises StorageError."""
        return (await self.records.get(id)).value if id else USUAL

    async def change(
        self, id: str, change: Callable[[SpaceSettings], SpaceSettings], *, seen: int | None = None
    ) -> SpaceSettings:
        """Raises Conflict, StorageError."""
        return (await self.records.change(id, change, seen=seen)).value

    async def move(self, old: str, new: str) -> None:
        """Gives a group's settings to what it has become, however often it is told. Raises Conflict, StorageError."""
        await self.records.move(old, new)
        chats = old.rpartition(":")[2], new.rpartition(":")[2]
        await self.records.change(new, lambda settings: _with_chat(settings, *chats))


def _with_chat(settings: SpaceSettings, old: str, new: str) -> SpaceSettings:
    """Where no topics are, the group itself is the channel that was chosen."""

    def now(channel: str) -> str:
        return new if channel == old else channel

    return settings.model_copy(
        update={
            "only_channels": tuple(map(now, settings.only_channels)),
            "not_channels": tuple(map(now, settings.not_channels)),
            "raid_channels": tuple(map(now, settings.raid_channels)),
            "announcements": now(settings.announcements),
            "log_channel": now(settings.log_channel),
            "grants": tuple(rule.model_copy(update={"channel": now(rule.channel)}) for rule in settings.grants),
        }
    )
