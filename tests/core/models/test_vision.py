from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from core.models.vision import MAX_PIXELS, ImageError, encode_image, prepare_image, prepare_source
from core.texts import say


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    output = io.BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes whose header promises a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
async def test_every_allowed_format_becomes_a_jpeg_within_the_limit(kind: str) -> None:
    image = opened(await prepare_image(encoded(Image.new("RGB", (3000, 1500), "red"), kind)))
    assert (image.format, image.size, image.mode) == ("JPEG", (1024, 512), "RGB")
    assert [band.getpixel((500, 250)) for band in image.split()] == pytest.approx([255, 0, 0], abs=4)


async def test_a_small_picture_is_not_blown_up() -> None:
    assert opened(await prepare_image(encoded(Image.new("L", (30, 20)), "PNG"))).size == (30, 20)


async def test_what_can_be_seen_through_stays_so() -> None:
    image = opened(await prepare_image(encoded(Image.new("RGBA", (50, 50), (255, 0, 0, 90)), "PNG")))
    assert (image.format, image.mode) == ("PNG", "RGBA")


async def test_sixteen_bits_of_grey_keep_their_tones() -> None:
    image = opened(await prepare_image(encoded(Image.new("I;16", (20, 20), 128 * 256), "PNG")))
    assert image.convert("L").getpixel((5, 5)) == pytest.approx(128, abs=4)


async def test_a_picture_is_turned_upright_and_loses_its_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    exif[0x010F] = "SecretCamera"
    picture = Image.new("RGB", (200, 100), "blue")
    data = await prepare_image(encoded(picture, "JPEG", exif=exif, comment=b"SecretPlace", icc_profile=b"SecretInk"))
    image = opened(data)
    assert image.size == (100, 200)
    assert not dict(image.getexif())
    assert not {"exif", "comment", "icc_profile", "xmp"} & set(image.info)
    assert b"Secret" not in data


@pytest.mark.parametrize("size", [(50_000, 50_000), (8_000, 6_000), (MAX_PIXELS + 1, 1)])
async def test_a_decompression_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError) as refused:
        await prepare_image(bomb(*size))
    assert refused.value.key == "image_too_large"
    assert "40 MP" in say(refused.value.key, "zh", **refused.value.values)


def test_a_gif_whose_frame_is_larger_than_its_header_says_is_refused() -> None:
    gif = bytearray(encoded(Image.new("P", (10, 10)), "GIF"))
    place = gif.index(b",\0\0\0\0\x0a\0\x0a\0") + 5
    gif[place : place + 4] = struct.pack("<HH", 60_000, 60_000)
    with pytest.raises(ImageError, match="image_too_large"):
        encode_image(bytes(gif))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"%PDF-1.7 and so on", id="pdf"),
        pytest.param(encoded(Image.new("RGB", (9, 9)), "BMP"), id="bmp"),
        pytest.param(encoded(Image.new("RGB", (9, 9)), "TIFF"), id="tiff"),
        pytest.param(encoded(Image.effect_noise((300, 300), 90), "JPEG")[:4000], id="truncated jpeg"),
        pytest.param(encoded(Image.effect_noise((300, 300), 90), "PNG")[:4000], id="truncated png"),
        pytest.param(encoded(Image.new("RGB", (9, 9)), "PNG")[:20], id="header only"),
        pytest.param(bomb(100, 100), id="too few pixels"),
    ],
)
async def test_what_is_no_whole_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError) as refused:
        await prepare_image(data)
    assert refused.value.key == "image_unreadable"
    assert say(refused.value.key, **refused.value.values)


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"<?xml version='1.0'?>\n<SVG xmlns='http://www.w3.org/2000/svg'><script/></SVG>", "image_svg"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image_heic"),
    ],
)
async def test_what_is_not_opened_is_called_by_its_name(data: bytes, key: str) -> None:
    with pytest.raises(ImageError) as refused:
        await prepare_image(data)
    assert refused.value.key == key
    assert "JPEG" in say(key, "zh")


async def test_a_picture_to_be_changed_is_upright_whole_and_not_too_large() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = await prepare_source(encoded(Image.new("CMYK", (4000, 2000), (0, 255, 255, 0)), "JPEG", exif=exif))
    image = opened(source.data)
    assert (source.width, source.height, source.shape) == (*image.size, "tall") == (768, 1536, "tall")
    assert (image.format, image.mode, source.mask) == ("PNG", "RGB", b"")
    assert image.getpixel((9, 9)) == pytest.approx((255, 0, 0), abs=40)


async def test_a_mask_is_fitted_and_both_white_and_see_through_where_something_may_change() -> None:
    mask = Image.new("L", (100, 50), 0)
    mask.paste(255, (50, 0, 100, 50))
    source = await prepare_source(encoded(Image.new("RGB", (300, 200)), "PNG"), encoded(mask, "PNG"))
    made = opened(source.mask)
    assert (made.size, made.mode, source.shape) == ((300, 200), "RGBA", "wide")
    assert made.getpixel((20, 100)) == (0, 0, 0, 255)
    assert made.getpixel((280, 100)) == (255, 255, 255, 0)


async def test_of_an_animation_the_first_picture_is_changed_and_a_bomb_is_not_decoded() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    source = await prepare_source(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert opened(source.data).convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    with pytest.raises(ImageError) as refused:
        await prepare_source(source.data, bomb(50_000, 50_000))
    assert refused.value.key == "image_too_large"
