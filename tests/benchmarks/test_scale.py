"""The plan's arithmetic, and the page that figures are written into."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scale, scale_plan
from benchmarks.figures import Row

ROOT = Path(__file__).parents[2]
COSTS = scale_plan.Costs(
    worker_ms=8.0,
    receiver_ms=2.0,
    overheard_ms=0.5,
    redis_ms=1.0,
    redis_commands=9.0,
    redis_bytes=7_000.0,
    log_bytes=5_000.0,
    conversation_bytes=1_500.0,
    turn_bytes=800.0,
    process_mb=100.0,
)


def plan(costs: scale_plan.Costs = COSTS) -> dict[str, list[str]]:
    """Name of a line -> its values, the fewest communities first."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in scale_plan.table(costs).splitlines()[2:]]
    return {line[0]: line[2:] for line in lines}


def test_the_plan_follows_from_the_figures() -> None:
    found = plan()
    # 10,000 communities: 2,000,000 questions a day, an eighth of them in an hour, three times as many in a burst.
    assert found["questions a second at the peak"] == ["0.02", "2.08", "208"]
    assert found["workers"] == ["2", "2", "4"]
    assert found["shards on Discord"] == ["1", "1", "10"]
    # 208 × 2 ms + 5,208 × 0.5 ms = 3,021 ms of each second, 500 ms for each process.
    assert found["receivers of Discord"] == ["2", "2", "7"]
    # 10,000 × (50 × 1.5 kB + 200 × 30 × 0.8 kB)
    assert found["memory of Redis"][-1] == "49 GB"
    assert found["model replicas"] == ["1", "1", "33"]


def test_dearer_answers_need_more_workers() -> None:
    costs = scale_plan.Costs(**{name: getattr(COSTS, name) * 2 for name in scale_plan.Costs.__slots__})
    assert plan(costs)["workers"][-1] == "7"


def test_a_figure_that_was_not_measured_is_named() -> None:
    with pytest.raises(KeyError, match="1 receiver, 2 workers: processor time an answer"):
        scale_plan.Costs.of([Row("something else", 1.0, "ms")])


def test_figures_go_between_their_marks() -> None:
    page = "before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n"
    filled = scale.fill(page, "figures", "new")
    assert filled == "before\n<!-- figures -->\n\nnew\n\n<!-- end of figures -->\nafter\n"
    assert scale.fill(filled, "figures", "new") == filled
    with pytest.raises(ValueError, match="no marks for 'plan'"):
        scale.fill(page, "plan", "x")


def test_kept_figures_come_back(tmp_path: Path) -> None:
    figures = {"speed": [Row("a", 1.0, "ms", 2.0)], "idle": [Row("b", None, "", 1.0, "higher")]}
    scale.keep(tmp_path / "figures.json", figures, "here")
    assert scale.kept(tmp_path / "figures.json") == (figures, "here")


def test_the_sizing_page_is_filled_and_its_plan_adds_up() -> None:
    page = (ROOT / "docs" / "sizing.md").read_text("utf-8")
    for name in ("figures", "plan"):
        text = page.partition(f"<!-- {name} -->")[2].partition(f"<!-- end of {name} -->")[0]
        assert text.count("\n|") > 10, name
    for part, (heading, _) in scale.PARTS.items():
        assert f"### {heading}\n" in page, part
