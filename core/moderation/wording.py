"""What a rule does, in one sentence, for lists. Pure. The words that it looks for are counted, not said."""

from __future__ import annotations

from core.moderation.durations import Duration
from core.moderation.rule import CONDITIONS, Caps, Flood, Joins, Languages, Repeats, Rule
from core.moderation.telling import amount
from core.texts import Value, plain_line, say

LONGEST = 60
"""Characters of what people wrote that are shown of each part."""


def to_words(rule: Rule, language: str = "") -> str:
    """One sentence of plain text, without the rule's name. What people wrote is in it: show it as text."""
    joined = say("rule_or" if rule.match == "any" else "rule_and", language)
    only = [_condition(name, rule, language) for name in CONDITIONS if getattr(rule, name) and name != "staff"]
    told = say(
        "rule_sentence",
        language,
        triggers=joined.join(_trigger(name, rule, language) for name in rule.triggers),
        effects=say("rule_list", language).join(_effect(name, rule, language) for name in rule.effects),
        only=say("rule_only", language, conditions=say("rule_list", language).join(only)) if only else "",
    )
    if not rule.enabled:
        return say("rule_off", language, sentence=told)
    return say("rule_shadow", language, sentence=told) if rule.shadow else told


def _trigger(name: str, rule: Rule, language: str) -> str:
    if name == "links":
        kinds = [kind for kind in ("any", "allow", "deny", "imitates") if getattr(rule.links, kind)]
        return say("rule_or", language).join(say(f"rule_links.{kind}", language) for kind in kinds)
    return say(f"rule_trigger.{name}", language, **_values(name, rule))


def _values(name: str, rule: Rule) -> dict[str, Value]:
    """What the sentence about a trigger is filled with."""
    match getattr(rule, name):
        case bool():
            return {}
        case int(number):
            return {"number": number}
        case Duration(seconds=seconds):
            return {"time": amount(seconds or 0)}
        case Flood(count=count, seconds=seconds) | Joins(count=count, seconds=seconds):
            return {"number": count, "time": amount(seconds)}
        case Repeats(count=count, seconds=seconds):
            return {"number": count, "time": amount(seconds)}
        case Caps(share=share):
            return {"share": f"{share:.0%}"}
        case Languages(only=only, deny=deny):
            return {"names": _shown(", ".join(deny or [f"≠ {one}" for one in only]))}
        case _:
            return _texts(name, rule)


def _texts(name: str, rule: Rule) -> dict[str, Value]:
    if name == "score":
        return {"names": ", ".join(f"{label}: {level}" for label, level in rule.score.items())}
    if name == "words_from":
        return {"names": _shown(", ".join(rule.words_from))}
    if name == "judge":
        return {"text": _shown(rule.judge)}
    return {"number": len(getattr(rule, name))} if name in ("words", "names", "regex") else {}


def _condition(name: str, rule: Rule, language: str) -> str:
    if rule.member_for and name == "member_for":
        key = "rule_condition.member_less" if rule.member_for.is_less else "rule_condition.member_more"
        return say(key, language, time=amount(rule.member_for.than.seconds or 0))
    if rule.hours and name == "hours":
        clocks = [f"{minute // 60:02}:{minute % 60:02}" for minute in (rule.hours.begin, rule.hours.end)]
        return say("rule_condition.hours", language, hours="–".join(clocks))
    value = getattr(rule, name)
    return say(f"rule_condition.{name}", language, number=value if isinstance(value, int) else len(value))


def _effect(name: str, rule: Rule, language: str) -> str:
    value = getattr(rule, name)
    if isinstance(value, Duration) and value.seconds is not None:
        return say(f"rule_effect_for.{name}", language, time=amount(value.seconds))
    if rule.slow and name == "slow":
        pause, lasts = amount(rule.slow.seconds), amount(rule.slow.lasts.seconds or 0)
        return say("rule_effect.slow", language, pause=pause, time=lasts)
    if name == "strikes":
        return say("rule_effect.strikes", language, number=rule.strikes)
    if name == "answer":
        return say("rule_effect.answer", language, text=_shown(rule.answer))
    return say(f"rule_effect.{name}", language)


def _shown(text: str) -> str:
    return plain_line(text, LONGEST)
