"""Brings the files of ``core/locales`` to one form, and each language to the keys that English has.

``python tools/messages.py`` adds what a language lacks, empty and with the English beside it; drops what English no
longer has; marks fuzzy what was translated from another English than now; sorts. ``python tools/messages.py de`` begins
a language. Then it says what is left to translate. Of two runs at once the second waits, and no file is ever half
written.
"""

from __future__ import annotations

import fcntl
import io
import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

FOLDER = Path(__file__).parent.parent / "core" / "locales"
ENGLISH = "en"
ONE_LINE = 100_000
HEADER = """\
# {title}
msgid ""
msgstr ""
"Language: {code}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plurals};\\n"

"""


def read(folder: Path, code: str) -> Catalog:
    """A language's file; an empty catalog if there is none yet."""
    path = folder / f"{code}.po"
    if not path.exists():
        return Catalog(locale=code)
    with path.open("rb") as file:
        return read_po(file, locale=code, abort_invalid=True)


def key_of(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def forms_of(message: Message) -> list[str]:
    """What is said: one form, or one for each plural of the language."""
    return [message.string] if isinstance(message.string, str) else [form or "" for form in message.string or ()]


def rendered(folder: Path, code: str) -> str:
    """The file as it should be."""
    old = {key_of(message): message for message in read(folder, code)}
    new = Catalog(locale=code)
    for source in sorted(read(folder, ENGLISH), key=key_of):
        if not (key := key_of(source)):
            continue
        message = old.get(key) or Message(source.id)
        comments = [] if code == ENGLISH else forms_of(source)
        count = new.num_plurals if source.pluralizable else 1
        forms = [*forms_of(message), *[""] * count][:count]
        was, flags = _words(message.auto_comments), set(message.flags)
        if any(forms) and was and was != _words(comments):
            flags.add("fuzzy")
        string = tuple(forms) if source.pluralizable else forms[0]
        new[source.id] = Message(
            source.id, string, flags=flags, auto_comments=comments, user_comments=message.user_comments
        )
    body = io.BytesIO()
    write_po(body, new, width=ONE_LINE, no_location=True, omit_header=True)
    locale = Locale.parse(code)
    title = f"What Parley says, in {locale.english_name}."
    if code == ENGLISH:
        title = "What Parley says. Keys are named where the sentence is said; other languages are translated from here."
    header = HEADER.format(title=title, code=code, plurals=new.plural_forms.rstrip(";"))
    return header + body.getvalue().decode().strip() + "\n"


def _words(lines: Iterable[str]) -> list[str]:
    return " ".join(lines).split()


def unfinished(folder: Path, code: str) -> list[str]:
    """The keys that a language lacks or has marked fuzzy."""
    return [
        key_of(message)
        for message in read(folder, code)
        if message.id and (message.fuzzy or not all(forms_of(message)))
    ]


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """While no other run is at work on the folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def write(path: Path, text: str) -> None:
    """All at once: whoever reads the file meanwhile has the old one or the new one."""
    beside = path.with_suffix(".new")
    beside.write_text(text, "utf-8")
    beside.replace(path)


def main(begun: list[str], folder: Path = FOLDER) -> int:
    with alone(folder):
        return brought_up(begun, folder)


def brought_up(begun: list[str], folder: Path) -> int:
    for code in sorted({*begun, *(file.stem for file in folder.glob("*.po"))}):
        path = folder / f"{code}.po"
        try:
            text = rendered(folder, code)
        except (ValueError, UnknownLocaleError):
            sys.stderr.write(
                f"“{code}” is no language that Unicode's CLDR knows. Write it like de, pt_BR or zh_Hant.\n"
            )
            return 1
        if not path.exists() or path.read_text("utf-8") != text:
            write(path, text)
        left = unfinished(folder, code)
        sys.stdout.write(f"{code}: {'complete' if not left else 'to translate: ' + ', '.join(left)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
