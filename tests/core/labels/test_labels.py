"""Labels that people see, as whoever runs Parley and each space want them."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from core.labels.labelling import read
from core.labels.labels import Labels
from core.labels.marks import marked
from core.labels.origin import Origin
from core.labels.settings import LabelSettings
from core.parts import Media
from core.people import fields
from core.people.fields import BY_NAME, Terms
from core.people.spaces import Spaces, SpaceSettings
from core.storage.client import Store

SPACE = "telegram:1:-5"
ORIGIN = Origin("painter")


def picture(form: str = "PNG", size: tuple[int, int] = (400, 300), mode: str = "RGB") -> bytes:
    output = io.BytesIO()
    Image.new(mode, size).save(output, form)
    return output.getvalue()


def corners(data: bytes) -> tuple[bool, bool]:
    """Whether there is anything but black in the upper left and the lower right quarter."""
    with Image.open(io.BytesIO(data)) as image:
        grey, (width, height) = image.convert("L"), image.size
    upper, lower = (0, 0, width // 2, height // 2), (width // 2, height // 2, width, height)
    return grey.crop(upper).getextrema() != (0, 0), grey.crop(lower).getextrema() != (0, 0)


@pytest.mark.parametrize(
    ("form", "size", "mode"),
    [("PNG", (400, 300), "RGB"), ("JPEG", (300, 400), "RGB"), ("PNG", (400, 400), "P"), ("PNG", (28, 28), "L")],
)
def test_a_mark_stands_in_the_lower_right_corner(form: str, size: tuple[int, int], mode: str) -> None:
    data = marked(picture(form, size, mode))
    assert corners(data) == (False, True)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == (form, size)


def test_nothing_else_is_marked() -> None:
    for data in (b"", b"<svg/>", picture("GIF"), picture()[:60]):
        with pytest.raises(ValueError, match="no picture"):
            marked(data)


async def test_a_space_chooses_for_itself(store: Store) -> None:
    spaces = Spaces(store)
    media = Media("a.png", "image/png", picture())
    off, on = Labels(LabelSettings(), spaces), Labels(LabelSettings(text=True, mark=True), spaces)
    for labels, is_wanted in ((off, False), (on, True)):
        assert labels.are_told(SpaceSettings()) is is_wanted
        assert labels.are_told(SpaceSettings(label_text=not is_wanted)) is not is_wanted
        assert corners((await labels.put(media, ORIGIN)).data)[1] is is_wanted
        await spaces.change(SPACE, lambda old, want=not is_wanted: old.model_copy(update={"label_mark": want}))
        assert corners((await labels.put(media, ORIGIN, SPACE)).data)[1] is not is_wanted
    # A sound has no corner.
    sound = Media("a.bin", "audio/basic", b"sound")
    assert await on.put(sound, ORIGIN) == sound


async def test_every_file_is_labelled(store: Store) -> None:
    labels = Labels(LabelSettings(producer="Club"), Spaces(store))
    made = await labels.put(Media("a.png", "image/png", picture()), labels.origin("painter", "p", "5", is_edit=True))
    found = read(made.data)
    assert found is not None
    assert (found.model, found.provider, found.id, found.is_edit) == ("painter", "p", "5", True)
    assert found.producer == "Club"
    assert found.made_at is not None


@pytest.mark.parametrize("name", ["label_text", "label_mark"])
def test_the_settings_can_be_typed(name: str) -> None:
    field = BY_NAME[name]
    assert [fields.parse(field, text, Terms()) for text in ("on", "off", "auto")] == [True, False, None]
    assert fields.get(fields.put(SpaceSettings(), field, True), field) is True
