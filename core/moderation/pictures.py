"""Pictures that people show in spaces which have them looked at: by models for just that, in a job, after they came in.
What they find is shown to the moderators, and nothing else follows."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence

import structlog

from core.errors import OutboundError
from core.message import Attachment, AttachmentKind, ConversationKey, Sighting
from core.moderation.acts import AUTOMOD, Act, ActKind, Actor
from core.moderation.evidence import MAX_EVIDENCE, MAX_FILES, MAX_NAME, Evidence
from core.moderation.judging import Enqueue, Order
from core.people.spaces import Spaces
from core.safety.safety import Safety
from core.storage.judging import Brief, Briefs
from core.texts import one_line, say

log = structlog.get_logger()

JOB = "look-at-pictures"
"""Name of the job; its queue is ``text``."""
RULE = "check_pictures"
"""What stands in the cases for a rule's name: the setting of the space."""
LARGEST = 10_000_000
"""Bytes of a picture that is looked at."""
MOST_PICTURES = 4
"""Of one message."""
MOST_A_MINUTE = 60
"""Messages of one space whose pictures are looked at within a minute."""

Fetch = Callable[[ConversationKey, Attachment, int], Awaitable[bytes]]
"""Gets a file from the platform, of at most so many bytes. Raises OutboundError."""


class PictureDocket:
    """Puts messages with pictures aside where they come in."""

    def __init__(self, briefs: Briefs, spaces: Spaces, enqueue: Enqueue) -> None:
        self._briefs = briefs
        self._spaces = spaces
        self._enqueue = enqueue

    async def put(self, said: Sequence[tuple[str, Sighting]]) -> None:
        """A ``core.moderation.watch.OfMessages``. Raises StorageError."""
        for space, sighting in said:
            if sighting.is_staff or not _pictures(sighting) or not (await self._spaces.of(space)).check_pictures:
                continue
            id = "look-" + _digest(space, sighting)
            await self._briefs.keep(id, Brief(space, RULE, sighting))
            await self._enqueue(JOB, id, id)


class PictureBench:
    """Looks at them."""

    def __init__(self, briefs: Briefs, spaces: Spaces, safety: Safety, fetch: Fetch, order: Order) -> None:
        self._briefs = briefs
        self._spaces = spaces
        self._safety = safety
        self._fetch = fetch
        self._order = order

    async def run(self, id: str) -> None:
        """Looks at what waits under an id; done twice, the same follows from it once. Raises StorageError."""
        brief = await self._briefs.get(id)
        if brief is None:
            return
        if await self._briefs.count(f"{brief.space}:pictures") > MOST_A_MINUTE:
            log.warning("too many pictures to look at", space=brief.space)
        elif found := await self._found(brief):
            language = (await self._spaces.of(brief.space)).language
            await self._order([_flag(brief, say("pictures_found", language, found=", ".join(sorted(found))))])
            log.info("pictures flagged", space=brief.space, categories=sorted(found))
        await self._briefs.drop(id)

    async def _found(self, brief: Brief) -> set[str]:
        """The categories that the models have for it."""
        from core.models.vision import ImageError, prepare_image

        said, found = brief.sighting, set[str]()
        share = f"{said.conversation.platform}:{said.space}"
        for file in _pictures(said):
            try:
                picture = await prepare_image(await self._fetch(said.conversation, file, LARGEST))
            except (OutboundError, ImageError) as error:
                log.warning("a picture was not looked at", space=brief.space, cause=str(error))
                continue
            found |= await self._safety.found_in(picture, brief.space, share)
        return found


def _pictures(said: Sighting) -> list[Attachment]:
    files = [file for file in said.attachments if file.kind is AttachmentKind.IMAGE and file.size <= LARGEST]
    return files[:MOST_PICTURES]


def _digest(space: str, said: Sighting) -> str:
    """The same for the same message; an edited one is another, each time."""
    edit = said.update if said.edited else ""
    return hashlib.sha256("\t".join((space, said.conversation.chat, said.id, edit)).encode()).hexdigest()[:32]


def _flag(brief: Brief, reason: str) -> Act:
    said = brief.sighting
    files = tuple(file.name[:MAX_NAME] for file in said.attachments if file.name)[:MAX_FILES]
    return Act(
        "pictures:" + _digest(brief.space, said),
        ActKind.FLAG,
        said.conversation,
        said.space,
        Actor(AUTOMOD, "Automod"),
        said.author.id,
        one_line(said.author.name, MAX_NAME),
        reason=reason,
        at=said.sent_at,
        evidence=Evidence(said.id, "", said.text[:MAX_EVIDENCE], files),
        rule=RULE,
    )
