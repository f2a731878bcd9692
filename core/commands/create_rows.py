"""The rows of the command table for what is made besides text: pictures, sound, films."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from core.access import Right
from core.commands import creations, imagine, origin, pictures, sound, speak, video
from core.commands.row import Command, Kind, Option
from core.creations.films import SHAPES
from core.creations.sound import SPEEDS
from core.creations.wish import QUALITIES, STYLES
from core.models.images import MAX_COUNT

PICTURE = Option("picture", kind=Kind.FILE)
COUNT = Option("count", kind=Kind.INTEGER, least=1, most=MAX_COUNT)
HOW = (
    Option("size", labels="field.image_size", suggests=True),
    COUNT,
    Option("style", choices=tuple(STYLES), labels="style"),
    Option("negative"),
    Option("seed"),
    Option("quality", choices=QUALITIES, labels="quality"),
    Option("model", suggests=True),
)
"""What can be said about a picture besides a prompt."""

ROWS: tuple[Command, ...] = (
    Command("creations", "create", creations.creations, private=True),
    Command("unmake", "create", creations.unmake, options=(Option("number", required=True),), listed=False),
    # Posted by the job that made it, and answered whatever holds by then: it was ordered and paid.
    Command("made", "create", creations.made, listed=False, always=True, replies=True),
    Command("speak", "chat", speak.speak, right=Right.SPEAK, needs="speech"),
    Command(
        "say",
        "create",
        sound.say,
        options=(
            Option("words", kind=Kind.LONG),
            Option("voice", suggests=True),
            Option("language"),
            Option("speed", choices=tuple(SPEEDS)),
        ),
        right=Right.SPEAK,
        needs="speech",
    ),
    Command(
        "music",
        "create",
        sound.music,
        options=(
            Option("prompt", required=True, kind=Kind.LONG),
            Option("seconds", kind=Kind.INTEGER, least=1, most=600),
        ),
        right=Right.SPEAK,
        needs="sound",
    ),
    Command(
        "video",
        "create",
        video.video,
        options=(
            Option("prompt", required=True, kind=Kind.LONG),
            Option("seconds", kind=Kind.INTEGER, least=1, most=600),
            Option("shape", choices=SHAPES),
            Option("picture", kind=Kind.FILE),
        ),
        right=Right.DRAW,
        needs="video",
    ),
    Command("origin", "create", origin.origin, options=(Option("file", kind=Kind.FILE),), menu="message", private=True),
    Command(
        "imagine",
        "create",
        imagine.imagine,
        options=(
            Option("prompt", required=True, kind=Kind.LONG),
            *HOW,
        ),
        menu="message",
        right=Right.DRAW,
        needs="image",
    ),
    Command(
        "edit",
        "create",
        pictures.edit,
        options=(
            PICTURE,
            Option("prompt", required=True, kind=Kind.LONG),
            Option("mask", kind=Kind.FILE),
            *(replace(option, words="imagine") for option in HOW),
        ),
        menu="message",
        right=Right.DRAW,
        needs="image",
        works=partial(pictures.is_done, "edit"),
    ),
    Command(
        "style",
        "create",
        pictures.restyle,
        options=(
            Option("style", True, choices=tuple(STYLES), labels="style", words="imagine"),
            replace(PICTURE, words="edit"),
        ),
        right=Right.DRAW,
        needs="image",
        works=partial(pictures.is_done, "edit"),
    ),
    Command(
        "vary",
        "create",
        pictures.vary,
        options=(
            replace(PICTURE, words="edit"),
            Option("prompt", kind=Kind.LONG, words="edit"),
            replace(COUNT, words="imagine"),
        ),
        menu="message",
        right=Right.DRAW,
        needs="image",
        works=partial(pictures.is_done, "vary"),
    ),
    Command(
        "upscale",
        "create",
        pictures.upscale,
        options=(replace(PICTURE, words="edit"), Option("model", suggests=True, words="imagine")),
        menu="message",
        right=Right.DRAW,
        needs="image",
        works=partial(pictures.is_done, "upscale"),
    ),
    Command(
        "cutout",
        "create",
        pictures.cutout,
        options=(replace(PICTURE, words="edit"),),
        menu="message",
        right=Right.DRAW,
        needs="image",
        works=partial(pictures.is_done, "cutout"),
    ),
    Command(
        "describe",
        "create",
        options=(replace(PICTURE, words="edit"), Option("question")),
        menu="message",
        works=pictures.has_eyes,
    ),
    Command(
        "read",
        "create",
        pictures.read,
        options=(replace(PICTURE, words="edit"),),
        menu="message",
        right=Right.UPLOAD,
        needs="ocr",
        works=pictures.can_read,
    ),
)
