"""A picture of how people got on: messages as bars, and above them the balance of high and low spirits."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from core.mood.trend import Trend, balance, rounded
from core.people.usage_chart import COLOURS, INK, PALE, PAPER, font, font_file

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

WIDTH, HEIGHT, MARGIN = 1200, 720, 40
LEFT = MARGIN + 80
TOPS, TALL = (100, 440), 230
"""Pixels: where the two parts begin, and how high each is."""
MOST_LABELS = 12


def draw(found: Trend, titles: Sequence[str], zone: tzinfo = UTC) -> bytes:
    """The chart as a PNG; ``titles`` are those of its two parts. Takes some 50 ms of processor time: not for the event
    loop."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    canvas = ImageDraw.Draw(image)
    step = (WIDTH - MARGIN - LEFT) / max(len(found.begins), 1)
    places = {begin: LEFT + number * step for number, begin in enumerate(found.begins)}
    _moods(canvas, found, titles[0], places, step)
    _volume(canvas, found, titles[1], places, step)
    every = -(-len(found.begins) // MOST_LABELS)
    for begin in found.begins[::every]:
        _write(canvas, (places[begin], TOPS[1] + TALL + 8), found.label(begin, zone))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _moods(canvas: ImageDraw, found: Trend, title: str, places: dict[int, float], step: float) -> None:
    top = TOPS[0]
    _write(canvas, (MARGIN, top - 56), title, 26)
    for value in (100, 0, -100):
        y = _height(top, value)
        canvas.line((LEFT, y, WIDTH - MARGIN, y), fill=INK if value == 0 else PALE)
        _write(canvas, (MARGIN, y - 11), f"{value:+d}" if value else "0")
    points = {cell.begin: (places[cell.begin] + step / 2, _height(top, balance(cell))) for cell in found.cells}
    for begin, point in points.items():
        # What is not shown is a gap in the line.
        if (before := points.get(begin - found.span.seconds)) is not None:
            canvas.line((*before, *point), fill=COLOURS[0], width=4)
        x, y = point
        canvas.ellipse((x - 5, y - 5, x + 5, y + 5), fill=COLOURS[0])


def _volume(canvas: ImageDraw, found: Trend, title: str, places: dict[int, float], step: float) -> None:
    bottom = TOPS[1] + TALL
    _write(canvas, (MARGIN, TOPS[1] - 56), title, 26)
    highest = max(max((rounded(cell.messages) for cell in found.cells), default=0), 1)
    for share in (0.0, 0.5, 1.0):
        y = bottom - round(share * TALL)
        canvas.line((LEFT, y, WIDTH - MARGIN, y), fill=PALE)
        _write(canvas, (MARGIN, y - 11), str(round(highest * share)))
    for cell in found.cells:
        x = places[cell.begin]
        y = bottom - rounded(cell.messages) / highest * TALL
        canvas.rectangle((x + step * 0.15, y, x + step * 0.85, bottom), fill=COLOURS[8])


def _height(top: int, value: int) -> float:
    return top + TALL / 2 - value / 100 * TALL / 2


def _write(canvas: ImageDraw, place: tuple[float, float], text: str, size: int = 18) -> None:
    able = "".join(c for c in text if font_file() or ord(c) < 0x250)
    canvas.text(place, able, font=font(size), fill=INK)
