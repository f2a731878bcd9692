"""What Parley says: every key has its sentence in every language, and nothing is said past the catalogs."""

from __future__ import annotations

import ast
import re
import shutil
import string
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Thread

import pytest

from core.commands.table import COMMANDS
from core.texts import ENGLISH, FOLDER, Amount, Label, Value, catalog, closest, languages, say
from tests.notices import left_out
from tools import messages

ROOT = Path(__file__).parents[2]
SAYING = {"say", "_say", "refuse", "Unreadable"}
"""Functions whose first value is a key, and an error of a process without imports."""
SHOWN = {
    *("text", "label", "title", "caption", "description", "short_description", "placeholder", "message_text"),
    *("input_field_placeholder", "error_message", "button_text"),
}
"""Names that platforms give to what people read."""
READ_BY_MODELS = {"replace", "Message", "Words"}
"""Calls that make a question, which may say in English what it holds besides text."""
SOME = r"[\w-]+"
"""In place of what an f-string is filled with."""
IDEOGRAPH = re.compile(r"[\u3400-\u9fff]")
WORD = re.compile(r"[A-Za-z]{2}")
TYPE = re.compile(r"[a-z]+/[a-z0-9.+\\-]+")
"""Of a file, like ``text/plain``; escaped."""


@cache
def sources() -> dict[str, ast.Module]:
    """Parley's own code, by path."""
    files = [*(ROOT / "core").rglob("*.py"), *(ROOT / "bots").rglob("*.py")]
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text("utf-8")) for file in files}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """All of it, each with where it stands."""
    for path, tree in sources().items():
        for node in ast.walk(tree):
            yield f"{path}:{getattr(node, 'lineno', 0)}", node


def literals(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be, as regular expressions: of an f-string, what is certain."""
    match node:
        case ast.Constant(value=str(text)):
            yield re.escape(text)
        case ast.JoinedStr(values=values):
            yield "".join(next(literals(value), "") if isinstance(value, ast.Constant) else SOME for value in values)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*literals(body), *literals(orelse))
        case ast.BoolOp(values=values):
            for value in values:
                yield from literals(value)
        case _:
            pass


def name_of(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


@cache
def saying() -> set[str]:
    """Calls whose first value is a key: also of notices and errors, which begin with ``key: str``."""
    found: set[str] = set()
    for _, node in nodes():
        if not isinstance(node, ast.ClassDef):
            continue
        fields = [(ast.unparse(part.target), part.annotation) for part in node.body if isinstance(part, ast.AnnAssign)]
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                fields = [(argument.arg, argument.annotation) for argument in part.args.args[1:]]
        if fields and fields[0][0] == "key" and fields[0][1] and ast.unparse(fields[0][1]) == "str":
            found.add(node.name)
    assert {"Notice", "ImageError"} <= found
    return found | SAYING


def keys_said() -> Iterator[tuple[str, str]]:
    """What is said in the code, as regular expressions, with where."""
    for place, node in nodes():
        if isinstance(node, ast.Call) and node.args and name_of(node) in saying():
            yield from ((place, key) for key in literals(node.args[0]))


def keys_of_commands() -> set[str]:
    keys = {f"command.{row.name}" for row in COMMANDS} | {f"menu.{row.name}" for row in COMMANDS if row.menu}
    keys |= {f"name.{row.name}" for row in COMMANDS if row.listed}
    for row, option in [(each, option) for each in COMMANDS if each.listed for option in each.options]:
        place = f"{option.words or row.name}.{option.name}"
        words = option.labels or f"choice.{place}"
        keys |= {f"option.{place}", f"name.{place}", *(f"{words}.{choice}" for choice in option.choices)}
    return keys


def pages() -> list[Path]:
    return sorted((ROOT / "bots/web_chat/pages").glob("*.html"))


def keys_of_pages() -> set[str]:
    return {f"web.{name}" for page in pages() for name in re.findall(r"\bt\.(\w+)", page.read_text("utf-8"))}


def test_every_key_has_a_sentence() -> None:
    there = catalog(ENGLISH).sentences.keys()
    missing = [f"{place}: {key}" for place, key in keys_said() if not any(re.fullmatch(key, k) for k in there)]
    assert missing == []
    assert keys_of_commands() | keys_of_pages() <= there


def test_every_sentence_is_said() -> None:
    named = {node.value for _, node in nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    patterns = {key for _, key in keys_said() if SOME in key and not key.startswith(("web", "command", "option"))}
    menus = keys_of_commands() | keys_of_pages()
    unsaid = [
        key
        for key in catalog(ENGLISH).sentences
        if key not in menus
        and not {key, key.removeprefix("web."), key.removeprefix("kind.").replace("_", " ")} & named
        and not any(re.fullmatch(pattern, key) for pattern in patterns)
    ]
    assert unsaid == []


@pytest.mark.parametrize("code", languages())
def test_a_language_has_every_sentence(code: str) -> None:
    assert messages.unfinished(FOLDER, code) == []
    there = catalog(code).sentences
    assert there.keys() == catalog(ENGLISH).sentences.keys()
    for key, forms in there.items():
        english = [fields(form) for form in catalog(ENGLISH).sentences[key]]
        # A singular may leave its number out.
        assert all(fields(form) | {"count"} == english[-1] | {"count"} for form in forms), key
        assert fields(forms[-1]) == english[-1], key


def fields(form: str) -> set[str]:
    """The names it is filled with. Plain names alone: what reaches into a value has no place in a sentence."""
    found = {name for _, name, spec, how in string.Formatter().parse(form) if name is not None and not (spec or how)}
    assert all(name.isidentifier() for name in found), form
    assert len(found) == len(set(re.findall(r"{.*?}", form))), form
    return found


@pytest.mark.parametrize("code", languages())
def test_a_file_is_as_make_messages_writes_it(code: str) -> None:
    assert (FOLDER / f"{code}.po").read_text("utf-8") == messages.rendered(FOLDER, code), "run: make messages"


def test_other_languages_stand_in_the_catalogs_alone() -> None:
    found = [
        place
        for place, node in nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and IDEOGRAPH.search(node.value)
    ]
    assert found == []
    shown = [*pages(), *(ROOT / "bots/web_chat/static").glob("*.js")]
    assert [file.name for file in shown if IDEOGRAPH.search(file.read_text("utf-8"))] == []


def test_nothing_is_said_past_the_catalogs() -> None:
    found: list[str] = []
    for place, node in nodes():
        values: list[ast.expr | None] = []
        if isinstance(node, ast.Call) and name_of(node) not in READ_BY_MODELS:
            values = [keyword.value for keyword in node.keywords if keyword.arg in SHOWN]
            if name_of(node) in {"TextDelta", "Button", "PlainTextResponse"}:
                values += node.args[:1]
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            values = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value in SHOWN]
        texts = [text for value in values if value is not None for text in literals(value)]
        found += [
            f"{place}: {text}" for text in texts if WORD.search(text.replace(SOME, "")) and not TYPE.fullmatch(text)
        ]
    assert found == []


def test_pages_say_nothing_past_the_catalogs() -> None:
    for page in pages():
        html = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}|<svg.*?</svg>", "", page.read_text("utf-8"), flags=re.DOTALL)
        attributes = re.findall(r"(?:aria-label|title|placeholder|alt)=\"([^\"]*)\"", html)
        said = (*attributes, *re.sub(r"<[^>]*>", "\n", html).split("\n"))
        assert [text for text in said if WORD.search(text.replace("Parley", ""))] == [], page.name


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("en", "en"),
        ("en-GB", "en"),
        ("zh", "zh_Hans"),
        ("zh-hans", "zh_Hans"),
        ("zh-CN", "zh_Hans"),
        ("zh_CN.UTF-8", "zh_Hans"),
        ("zh-Hans-SG", "zh_Hans"),
        ("zh_TW", "zh_Hans"),
        ("xx", ""),
        ("", ""),
        ("-", ""),
        ("../en", ""),
        ("e" * 100_000, ""),
    ],
)
def test_the_closest_language(given: str, found: str) -> None:
    assert closest(given) == found
    assert say("stopped", given) == catalog(found or ENGLISH).sentences["stopped"][0]


def test_counts_and_numbers_are_said_as_the_language_says_them() -> None:
    assert say("failed_more", "en", count=1) == "… and 1 older one."
    assert say("failed_more", "en", count=1234) == "… and 1,234 older ones."
    assert say("failed_more", "zh", count=1) == "……还有 1 条更早的。"
    assert say("new", "en") != say("new", "zh")
    with pytest.raises(KeyError):
        say("superfluous_key")


def test_amounts_and_words_are_said_as_the_language_says_them() -> None:
    values: dict[str, Value] = {"found": Amount(20.54, "megabyte"), "allowed": Amount(5, "minute")}
    assert (
        say("image_too_large", **values)
        == "That picture is too large: 20.5 MB, at most 5 min. Please send a smaller one."
    )
    assert "最大 5分钟" in say("image_too_large", "zh", **values)
    assert "贴纸" in say("unsupported", "zh", kind=Label("kind", "sticker"))
    assert "paid post" in say("unsupported", "en", kind=Label("kind", "paid post"))
    # Kept by another version of Parley.
    assert "hologram" in say("unsupported", "zh", kind=Label("kind", "hologram"))


def test_a_value_is_never_read_as_a_sentence() -> None:
    assert say("model_set", model="{count} {0} {model.__class__}") == (
        "This conversation now uses **{count} {0} {model.__class__}**."
    )
    # Nor as what is asked for.
    assert say("new", "zh", key="stopped", language="en") == say("new", "zh")


def test_a_language_is_one_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "core", tmp_path / "core", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "core/locales"
    assert messages.main(["ru", "pt_PT"], folder) == 0
    russian = folder / "ru.po"
    text = russian.read_text("utf-8")
    assert text.count('msgstr[2] ""') == text.count("msgid_plural")
    text = text.replace('msgid "stopped"\nmsgstr ""', 'msgid "stopped"\nmsgstr "Остановлено."')
    text = re.sub(
        r'(msgid_plural "failed_more")\n.*\n.*\n.*',
        r'\1\nmsgstr[0] "{count} письмо"\nmsgstr[1] "{count} письма"\nmsgstr[2] "{count} писем"',
        text,
    )
    text = text.replace('msgid "forgotten"\nmsgstr ""', '#, fuzzy\nmsgid "forgotten"\nmsgstr "Old"')
    russian.write_text(text, "utf-8")
    script = """
from core.texts import closest, languages, say
print(languages(), closest("pt-BR"), closest("ru-RU"))
print(say("stopped", "ru"), [say("failed_more", "ru-RU", count=n) for n in (1, 3, 7, 12345)])
print(say("forgotten", "ru") == say("forgotten"), say("welcome", "ru") == say("welcome"))
"""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "('en', 'pt_PT', 'ru', 'zh_Hans') pt_PT ru",
        "Остановлено. ['1 письмо', '3 письма', '7 писем', '12\\xa0345 писем']",
        "True True",
    ]


def test_a_changed_english_makes_the_others_fuzzy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code in languages():
        shutil.copy(FOLDER / f"{code}.po", tmp_path)
    english, chinese = tmp_path / "en.po", tmp_path / "zh_Hans.po"
    english.write_text(english.read_text("utf-8").replace('msgstr "Stopped."', 'msgstr "It is stopped."'), "utf-8")
    assert messages.main([], tmp_path) == 0
    assert messages.unfinished(tmp_path, "zh_Hans") == ["stopped"]
    assert "zh_Hans: to translate: stopped\n" in capsys.readouterr().out
    assert '#. It is stopped.\n#, fuzzy\nmsgid "stopped"' in chinese.read_text("utf-8")
    # It stays so until somebody looked at it.
    assert messages.main([], tmp_path) == 0
    assert messages.unfinished(tmp_path, "zh_Hans") == ["stopped"]
    assert messages.main(["english"], tmp_path) == 1


def test_of_two_runs_the_second_waits_and_files_are_replaced_whole(tmp_path: Path) -> None:
    for code in languages():
        shutil.copy(FOLDER / f"{code}.po", tmp_path)
    chinese = tmp_path / "zh_Hans.po"
    with chinese.open("a", encoding="utf-8") as file:
        file.write('\nmsgid "superfluous_key"\nmsgstr "x"\n')
    with chinese.open(encoding="utf-8") as reading:
        with messages.alone(tmp_path):
            second = Thread(target=messages.main, args=([], tmp_path))
            second.start()
            second.join(0.2)
            assert second.is_alive()
            assert "superfluous_key" in chinese.read_text("utf-8")
        second.join(20)
        assert "superfluous_key" in reading.read(), "who was reading it has the old one"
    assert "superfluous_key" not in chinese.read_text("utf-8")
    assert {file.name for file in tmp_path.iterdir()} == {f"{code}.po" for code in languages()}


@pytest.mark.parametrize("key", ["overflow", "overload"])
@pytest.mark.parametrize("count", [1, 2, 1234])
def test_the_suites_that_count_know_what_is_left_out(key: str, count: int) -> None:
    assert left_out(say(key, count=count)) == count
