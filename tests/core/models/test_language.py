from __future__ import annotations

import pytest

from core.models.language import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The quick brown fox jumps over the lazy dog.", "en"),
        ("Wie geht es dir? Das ist nicht so schwer.", "de"),
        ("Il fait beau aujourd'hui et je suis dans le jardin avec mes amis.", "fr"),
        ("¿Qué es lo que quieres para comer?", "es"),
        ("今天天气怎么样？", "zh"),
        ("我用 Python 和 JavaScript 写代码。", "zh"),
        ("東京の天気はどうですか", "ja"),
        ("서울의 날씨는 어때요?", "ko"),
        ("Какая сегодня погода?", "ru"),
        ("كيف حالك اليوم", "ar"),
        ("Call me Ishmael", ""),
        ("42 !? 🦊", ""),
        ("", ""),
        ("\u202e\ud800", ""),
    ],
)
def test_letters_and_small_words_tell_the_language(text: str, language: str) -> None:
    assert language_of(text) == language
