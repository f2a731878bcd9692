"""From which score on something counts: chosen by how often harmless texts would be found. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.moderation.classify import Label
from core.training.logistic import Floats, Vectors, fit, likelihood

MAIN = {"toxic": ("surge", "cold"), "spam": ("sms",), "injection": ()}
"""The sets that a label is measured on; where there is none, all that is known."""
FLAG = {"toxic": 0.085, "spam": 0.01, "injection": 0.03}
"""Share of harmless texts that a human may be shown for nothing."""
ACT = {"toxic": 0.015, "spam": 0.003, "injection": 0.002}
"""Share of harmless texts on which something may be done for nothing."""
LEAST = {"toxic": (0.3, 0.7), "spam": (0.5, 0.85), "injection": (0.5, 0.75)}
"""No threshold for flags and for acts is lower: the sets hold few harmless texts that are hard to tell from adverts and
orders."""
ACT_ON_GROUPS = 0.15
"""The same of HateCheck's harmless sentences, which are made to be hard."""


MISSED = 0.04
"""Share of what should be found that never gets a second look."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Texts of one language with what models say of them that have not seen them."""

    targets: Floats
    is_main: Any
    first: Floats
    both: Floats
    read: Any
    measured: Any
    """HateCheck: what it is, and the scores."""
    measured_first: Floats
    measured_both: Floats
    curve: tuple[float, float]
    share: tuple[float, float, float]
    """What the logits of the first and of the second look are multiplied by, and what is added."""

    @classmethod
    def of(
        cls, label: Label, targets: Floats, sources: Any, first: Floats, second: Floats, read: Any,
        measured: Any, measured_first: Floats, measured_second: Floats,
    ) -> Scored:  # fmt: skip
        """Learns how a logit becomes a likelihood, and how much each look weighs."""
        known = (targets >= 0) & (sources != "davidson") if label == "toxic" else targets >= 0
        both = known & read
        scale = float(np.abs(first[known]).mean()), float(np.abs(second[both]).mean())
        weights, begin = fit(Vectors(_columns(first[known] / scale[0])), targets[known], np.full(int(known.sum()), 1.0))
        curve = float(weights[0]) / scale[0], begin
        pairs = Vectors(_columns(first[both] / scale[0], second[both] / scale[1]))
        weights, begin = fit(pairs, targets[both], np.full(int(both.sum()), 1.0))
        share = float(weights[0]) / scale[0], float(weights[1]) / scale[1], begin
        main = np.isin(sources, MAIN[label]) if np.isin(sources, MAIN[label]).any() else known
        once, twice = _curved(first, curve), likelihood(first * share[0] + second * share[1] + share[2])
        # The first look hands on its likelihood, not its logit.
        factor = share[0] / curve[0]
        return cls(
            targets, main & known, once, twice, read, measured, _curved(measured_first, curve),
            likelihood(measured_first * share[0] + measured_second * share[1] + share[2]),
            curve, (factor, share[1], share[2] - factor * curve[1]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Thresholds by stage and level, between which first scores a second look is worth it, and figures."""

    values: Mapping[str, Mapping[str, float]]
    unsure: tuple[float, float]
    figures: Mapping[str, Any]


def thresholds(scored: Scored, label: Label) -> Cutoffs:
    """Chosen on texts that the models have not seen."""
    values: dict[str, dict[str, float]] = {}
    figures: dict[str, Any] = {}
    stages = (("pieces", scored.first, scored.measured_first), ("meaning", scored.both, scored.measured_both))
    for stage, scores, measured in stages:
        seen = scored.is_main & (scored.read | (stage == "pieces"))
        harmless = np.sort(scores[seen & (scored.targets == 0)])
        flag = max(LEAST[label][0], _above(harmless, FLAG[label]))
        act = max(LEAST[label][1], flag, _above(harmless, ACT[label]))
        if label == "toxic":
            act = max(act, _above(np.sort(measured[scored.measured == 0]), ACT_ON_GROUPS))
        values[stage] = {"flag": flag, "act": act}
        for level, least in values[stage].items():
            figures[f"{stage} {level}"] = _figures(scores[seen], scored.targets[seen], least)
            if label == "toxic":
                figures[f"{stage} {level} hatecheck"] = _figures(measured, scored.measured, least)
    # Below, next to nothing is found; above, it is sure enough to act.
    found = scored.first[scored.is_main & (scored.targets == 1)]
    unsure = (round(min(values["pieces"]["flag"], float(np.quantile(found, MISSED))), 4), values["pieces"]["act"])
    seen = scored.is_main & scored.read
    both = _together(scored.first, scored.both, unsure, values["meaning"]["flag"])
    figures["together flag"] = _figures(both[seen], scored.targets[seen], 0.5)
    figures["asked"] = round(float(np.mean((scored.first[seen] >= unsure[0]) & (scored.first[seen] < unsure[1]))), 3)
    if label == "toxic":
        both = _together(scored.measured_first, scored.measured_both, unsure, values["meaning"]["flag"])
        figures["together flag hatecheck"] = _figures(both, scored.measured, 0.5)
    return Cutoffs(values, unsure, figures)


def _together(first: Floats, both: Floats, unsure: tuple[float, float], least: float) -> Floats:
    """1 for what is flagged when the second look is asked where the first is unsure."""
    is_asked = (first >= unsure[0]) & (first < unsure[1])
    return np.where(is_asked, both >= least, first >= unsure[1]).astype(float)


def _above(harmless: Floats, share: float) -> float:
    """The score that so small a share of harmless texts has."""
    at = min(len(harmless) - 1, int(len(harmless) * (1 - share)))
    return round(min(0.99999, float(harmless[at]) + 1e-5), 5)


def _figures(scores: Floats, targets: Floats, least: float) -> dict[str, float]:
    found, bad = scores >= least, targets == 1
    hits = int((found & bad).sum())
    precision, recall = hits / max(1, int(found.sum())), hits / max(1, int(bad.sum()))
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    false = int((found & ~bad).sum()) / max(1, int((~bad).sum()))
    return {name: round(value, 3) for name, value in
            (("precision", precision), ("recall", recall), ("f1", f1), ("false_alarms", false))}  # fmt: skip


def _columns(*columns: Floats) -> Any:
    return np.stack(columns, axis=1).astype(np.float32)


def _curved(logits: Floats, curve: tuple[float, float]) -> Floats:
    return likelihood(logits * curve[0] + curve[1])
