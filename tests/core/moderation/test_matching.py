"""Words are found however they are disguised, and only whole ones."""

from __future__ import annotations

import re

import pytest

from core.moderation.matching import LONGEST, LONGEST_WORD, Word, Words, is_word, key, readings


def found(text: str, *words: str) -> list[str]:
    return list(Words(Word(word, owner) for owner, word in enumerate(words)).found(readings(text)).values())


@pytest.mark.parametrize(
    "text",
    [
        *("free nitro", "FREE  NITRO", "ｆｒｅｅ ｎｉｔｒｏ", "𝐟𝐫𝐞𝐞 𝓃𝒾𝓉𝓇𝑜", "Frее nitrо", "f\u200bree ni\u00adtro"),
        *("f̷r̷e̷e̷ n̷i̷t̷r̷o̷", "frée nïtro", "ⓕⓡⓔⓔ 🅽🅸🆃🆁🅾", "f r e e  n i t r o", "f r e e n i t r o", "f.r.e.e n.i.t.r.o"),
        *(
            "fr33 n1tr0",
            "freeeee nitro",
            "free nitrooo",
            "get your *free nitro*!",
            "||free nitro||",
            "f\x08ree nit\x00ro",
            "f|r|e|e n|i|t|r|o",
            "f_r_e_e  n-i-t-r-o",
            "领free nitro吧",
        ),
        *("free-nitro", "free_nitro", "free.nitro", "free/nitro", "free 💎 nitro", "free🔥nitro", "f🔥r🔥e🔥e nitro"),
        *(
            "fr||ee|| nitro",
            "**fr**ee `nitro`",
            "f(r)e(e) n(i)t(r)o",
            "fr3e_n1tro",
            "\u202eortin eerf",
            "\ufdfa" * 9 + "free nitro",
        ),
        *("🇫🇷🇪🇪 🇳🇮🇹🇷🇴", "🇫 🇷 🇪 🇪  🇳 🇮 🇹 🇷 🇴"),
    ],
)
def test_a_phrase_is_found_in_any_disguise(text: str) -> None:
    assert found(text, "Free Nitro") == ["Free Nitro"]


@pytest.mark.parametrize(
    "text",
    [
        "加微信",
        "加微信!",
        "我要加微信领",
        "加.微.信",
        "加 微 信",
        "加*微*信",
        "加，微，信",
        "加\u200b微信",
        "加微🔥信",
        "ＶＸ加微信",
    ],
)
def test_chinese_is_found_anywhere_and_traditional_is_the_same(text: str) -> None:
    assert found(text, "加微信") == ["加微信"]
    assert found(text, "加 微信") == ["加 微信"]
    assert found("請領取免費禮包", "领取免费礼包") == ["领取免费礼包"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        *(("Scunthorpe", "cunt"), ("class glass assess", "ass"), ("shitake", "shit"), ("我加。微信很好", "加微信")),
        *(("at 5am we met", "sam"), ("b2b mp4", "mpa"), ("a fall", "fail"), ("freedom", "free"), ("carefree", "free")),
        *(("it costs 1337 in all", "leet"), ("asss", "ass"), ("are you free? nitro is nice", "free nitro")),
        *(("he'll see", "hell"), ("I love 🇺🇸", "us a"), ("妈。的", "妈的"), ("well-hit", "shit"), ("a / s / l", "sla")),
    ],
)
def test_what_only_holds_a_word_is_none(text: str, word: str) -> None:
    assert found(text, word) == []


def test_stars_leave_an_end_open() -> None:
    assert found("scammers and Bitcoins", "scam*", "*coin", "*coin*") == ["scam*", "*coin*"]
    assert found("scams", "scam") == []


@pytest.mark.parametrize("word", ["", " ", "*", "sc*m", "\u200b", "x" * (LONGEST_WORD + 1)])
def test_what_cannot_be_looked_for_is_refused(word: str) -> None:
    assert not is_word(word)
    with pytest.raises(ValueError, match=re.escape(word) or "^$"):
        Words([Word(word, 0)])


def test_owners_are_told_in_their_order_with_their_first_word() -> None:
    words = Words([Word("beta", 7), Word("alpha", 2), Word("alpha", 7), Word("gamma", 1)])
    assert list(words.found(readings("gamma beta alpha")).items()) == [(1, "gamma"), (2, "alpha"), (7, "beta")]
    assert Words([]).found(readings("alpha")) == {}


def test_of_a_long_text_the_beginning_and_the_end_are_looked_at() -> None:
    assert found("x " * LONGEST + "alpha", "alpha") == ["alpha"]
    assert found("alpha" + " x" * LONGEST, "alpha") == ["alpha"]
    assert found("x " * LONGEST + "alpha" + " x" * LONGEST, "alpha") == []


def test_nothing_hides_behind_as_much_as_a_message_can_hold() -> None:
    # Telegram's longest has 4,096 characters.
    for filler in ("\u200b", "x ", "\u3316"):
        assert found((filler * 4096)[:4080] + " alpha", "alpha") == ["alpha"]


def test_a_key_is_the_key_of_itself_and_halves_of_characters_do_no_harm() -> None:
    for text in ("Frее", "加微信 領取", "a\ud800b", "\x00", "", "Straße ẞ", "かがき"):
        assert key(key(text)) == key(text)
    assert found("free \ud800 nitro \udfff", "nitro") == ["nitro"]


@pytest.mark.parametrize("evil", ["a.b ", "a ", "加 ", "1a", "aaa", "a1!", ". ", "加。", "$", "a@", "|_", "\u0301"])
def test_no_text_takes_long_to_read(evil: str) -> None:
    assert len(readings(evil * LONGEST)) <= 10
