"""The limit of turns at once follows how late the event loop runs."""

from __future__ import annotations

from core.strain import LEAST, Strain


def late_for(strain: Strain, seconds: float, active: int, *, waiting: int = 0, late: float = 0.1) -> None:
    for tick in range(int(seconds / 0.05)):
        strain.ticked(tick * 0.05, late, active, waiting)


def test_nothing_is_limited_while_the_loop_keeps_up() -> None:
    strain = Strain(500)
    late_for(strain, 10, 400, late=0.001)
    assert strain.limit == 500


def test_the_limit_falls_while_the_loop_runs_late_and_no_lower_than_the_least() -> None:
    strain = Strain(500)
    late_for(strain, 2, 400)
    assert LEAST < strain.limit < 400
    late_for(strain, 60, 400)
    assert strain.limit == LEAST


def test_it_rises_again_when_turns_wait_for_it_though_one_space_has_all_it_may() -> None:
    strain = Strain(500)
    late_for(strain, 60, 400)
    late_for(strain, 10, LEAST // 2, waiting=0, late=0.0)
    assert strain.limit == LEAST
    late_for(strain, 10, LEAST // 2, waiting=100, late=0.0)
    assert strain.limit > 100


def test_a_small_worker_has_a_small_limit() -> None:
    strain = Strain(2)
    late_for(strain, 60, 2)
    assert strain.limit == 2
