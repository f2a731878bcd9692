"""How models did of late."""

from __future__ import annotations

import json

import pytest

from core.models.measured import SLICE_SECONDS, Figures, Measured, joined


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def call(measured: Measured, clock: Clock, seconds: float, *, failed: bool = False) -> None:
    timed = measured.begin("m")
    clock.seconds += seconds / 4
    timed.alive()
    clock.seconds += seconds * 3 / 4
    if failed:
        timed.failed()
    else:
        timed.done()
    timed.end()


def test_means_and_percentiles_are_about_right() -> None:
    clock = Clock()
    measured = Measured(clock)
    for number in range(1, 101):
        call(measured, clock, number / 10)
    figures = measured.hour()["m"]
    assert figures.calls == 100
    assert figures.failures == 0
    assert figures.whole.mean == pytest.approx(5.05)
    assert 9.5 <= figures.whole.p95 <= 9.5 * 1.2
    assert 9.5 / 4 <= figures.first.p95 <= 9.5 / 4 * 1.2


def test_what_is_older_than_an_hour_counts_no_more() -> None:
    clock = Clock()
    measured = Measured(clock)
    call(measured, clock, 1.0, failed=True)
    assert measured.hour()["m"].failures == 1
    clock.seconds += 12 * SLICE_SECONDS
    assert measured.hour() == {}


def test_the_figures_of_several_processes_add_up_after_their_way_through_the_store() -> None:
    clock = Clock()
    measured = Measured(clock)
    call(measured, clock, 1.0)
    call(measured, clock, 0.0)
    told = Figures.of(json.loads(json.dumps(measured.hour()["m"].to_values())))
    both = joined([{"m": told}, measured.hour()])["m"]
    assert both.calls == 4
    assert both.whole.count == 4
    assert both.whole.mean == pytest.approx(0.5)
    assert both.whole.p95 >= 1.0
