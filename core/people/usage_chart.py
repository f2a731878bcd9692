"""A picture of what was used: by day in stacked bars, by model and by person."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from core.people.usage import Report

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

WIDTH, MARGIN, GAP = 1200, 40, 30
TOP, BARS, LINE = 60, 380, 44
"""Pixels: height of a title, of the days' bars, of a line of the lists."""
MOST = 8
"""Models and people shown; the others are one."""
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9498a0")
"""Observable's ten, told apart by people who see few colours; the last is that of the others."""
INK, PALE, PAPER = "#1f2328", "#d0d7de", "#ffffff"
FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc",
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Bold.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "/System/Library/Fonts/STHeiti Light.ttc",
    "C:/Windows/Fonts/msyh.ttc",
)
"""Where systems keep a font with Chinese; where there is none, such names are told in the text alone."""
UNNAMED = "—"


def draw(report: Report, titles: Sequence[str], others: str) -> bytes:
    """The chart as a PNG. ``titles`` are those of the three parts, ``others`` what all are called that have no bar of
    their own. Takes some 50 ms of processor time: not for the event loop."""
    from PIL import Image, ImageDraw

    models, people = _shortened(report.by_model(), others), _shortened(report.by_person(), others)
    lines = max(len(models), len(people), 1)
    height = MARGIN + TOP + BARS + GAP + 40 + TOP + lines * LINE + MARGIN
    image = Image.new("RGB", (WIDTH, height), PAPER)
    canvas = ImageDraw.Draw(image)
    _days(canvas, report, titles[0], [name for name, _ in models], others)
    top, half = MARGIN + TOP + BARS + GAP + 40, (WIDTH - 2 * MARGIN - GAP) // 2
    _list(canvas, (MARGIN, top, half), titles[1], models, COLOURS, report)
    named = [(f"{i + 1}. {name if name == others else report.called(name)}", n) for i, (name, n) in enumerate(people)]
    _list(canvas, (MARGIN + half + GAP, top, half), titles[2], named, COLOURS[:1], report)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _days(canvas: ImageDraw, report: Report, title: str, models: Sequence[str], others: str) -> None:
    _write(canvas, (MARGIN, MARGIN), title, 26)
    amounts: dict[tuple[str, str], int] = {}
    for (day, model), amount in report.by_day().items():
        place = day, model if model in models else others
        amounts[place] = amounts.get(place, 0) + amount
    sums = [sum(amounts.get((day, model), 0) for model in models) for day in report.days]
    highest = max(*sums, 1) if sums else 1
    left, bottom = MARGIN + 110, MARGIN + TOP + BARS
    for share in (0.0, 0.5, 1.0):
        y = bottom - round(share * BARS)
        canvas.line((left, y, WIDTH - MARGIN, y), fill=PALE)
        _write(canvas, (MARGIN, y - 11), _amount(report, round(highest * share)), 18)
    step = (WIDTH - MARGIN - left) / max(len(report.days), 1)
    every = -(-len(report.days) // 10)
    for index, day in enumerate(report.days):
        x, y = left + index * step, float(bottom)
        for place, model in enumerate(models):
            tall = amounts.get((day, model), 0) / highest * BARS
            if tall:
                canvas.rectangle((x + step * 0.12, y - tall, x + step * 0.88, y), fill=COLOURS[place])
                y -= tall
        if index % every == 0:
            _write(canvas, (x, bottom + 8), day[5:], 18)


def _list(
    canvas: ImageDraw,
    place: tuple[int, int, int],
    title: str,
    rows: Sequence[tuple[str, int]],
    colours: Sequence[str],
    report: Report,
) -> None:
    """Bars that lie, each under what it is; ``place`` is left, top and width."""
    left, top, width = place
    _write(canvas, (left, top), title, 26)
    highest = max([amount for _, amount in rows], default=1) or 1
    for index, (name, amount) in enumerate(rows):
        y = top + 50 + index * LINE
        long = max(2, round(width * amount / highest))
        canvas.rectangle((left, y + 28, left + width, y + 33), fill=PALE)
        canvas.rectangle((left, y + 28, left + long, y + 33), fill=colours[index % len(colours)])
        number = _amount(report, amount)
        room = width - canvas.textlength(number, font=font(18)) - 20
        _write(canvas, (left, y), _fitting(canvas, name, room), 18)
        _write(canvas, (left + room + 20, y), number, 18)


def _shortened(rows: list[tuple[str, int]], others: str) -> list[tuple[str, int]]:
    rest = sum(amount for _, amount in rows[MOST:])
    return [*rows[:MOST], *([(others, rest)] if rest else [])]


def _amount(report: Report, amount: int) -> str:
    return f"{amount / 1_000_000:.3g}" if report.measure == "money" else str(amount)


def _fitting(canvas: ImageDraw, text: str, width: float) -> str:
    while len(text) > 1 and canvas.textlength(_writable(text), font=font(18)) > width:
        text = f"{text[:-2]}…"
    return text


def _write(canvas: ImageDraw, place: tuple[float, float], text: str, size: int) -> None:
    canvas.text(place, _writable(text), font=font(size), fill=INK)


def _writable(text: str) -> str:
    """What is written from right to left is left out, and without a font that has Chinese also what would need one."""
    able = (c for c in text if unicodedata.bidirectional(c) not in ("R", "AL"))
    return "".join(c for c in able if font_file() or ord(c) < 0x250 or c in "…—").strip() or UNNAMED


@cache
def font_file() -> str:
    """Of a font that has Chinese; empty where there is none."""
    return next((path for path in FONTS if Path(path).is_file()), "")


@cache
def font(size: int) -> FreeTypeFont | ImageFont:
    """What is written with, in pixels."""
    from PIL import ImageFont

    return ImageFont.truetype(font_file(), size) if font_file() else ImageFont.load_default(size)
