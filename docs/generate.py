"""Writes docs/configuration.md and docs/commands.md from the settings and the command table.

``python docs/generate.py`` writes; with ``--check`` it only says what is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from core import settings as s  # noqa: E402
from core.access import OF_ALL, Right  # noqa: E402
from core.commands.row import Command, Where  # noqa: E402
from core.commands.table import COMMANDS, PARENTS  # noqa: E402
from core.loading import ENVIRONMENT  # noqa: E402
from core.moderation import presets  # noqa: E402
from core.moderation.rule import CONDITIONS, EFFECTS, SEEN, Event, Rule  # noqa: E402
from core.people.access import DEFAULTS, Role  # noqa: E402
from core.texts import say  # noqa: E402

MENUS = {"message": "message", "user": "person"}
BEGIN, END = "<!-- made by docs/generate.py -->", "<!-- up to here -->"
"""Around what is made on a page that is written by hand."""
WHERE = {Where.ANYWHERE: "anywhere", Where.PRIVATE: "private chats", Where.GROUPS: "groups and servers"}
PLATFORMS = {
    Right.TALK: ("Send Messages", "none"),
    Right.CONFIGURE: ("Manage Server", "change group info"),
    Right.SEE_USAGE: ("Manage Server", "change group info"),
    Right.TEACH: ("Manage Messages", "delete messages"),
    Right.WARN: ("Timeout Members", "restrict members"),
    Right.MUTE: ("Timeout Members", "restrict members"),
    Right.BAN: ("Ban Members", "restrict members"),
    Right.PURGE: ("Manage Messages", "delete messages"),
}
"""What a platform calls it where a right is taken from its own ones."""


def configuration() -> str:
    lines = [
        "# Configuration",
        "",
        "Parley reads, later ones winning: built-in defaults, `parley.toml`, `.env`, the environment. Both files lie",
        "in the folder that Parley is started in; `config.example.toml` and `.env.example` show their form. Nothing",
        "needs to be set. A wrong setting ends the start with its name, what was found and what is allowed.",
        "",
        "Every setting `section.name` can also be given in the environment as `PARLEY__SECTION__NAME`, and some have a",
        "variable of their own. `OPENAI_API_KEY`, `OPENAI_BASE_URL` and `OPENAI_MODEL` together make a provider and a",
        "model named by `OPENAI_MODEL`.",
    ]
    variables = {".".join(filter(None, place)): name for name, place in ENVIRONMENT.items()}
    top = {name: field for name, field in s.Settings.model_fields.items() if not _section(field)}
    lists = {"providers": s.ProviderSettings, "models": s.ModelSettings, "mcp": s.McpSettings}
    lines += _table("Top level", "", {n: f for n, f in top.items() if n not in lists}, variables)
    for name, field in s.Settings.model_fields.items():
        if section := _section(field):
            lines += _table(f"[{name}]", f"{name}.", section.model_fields, variables)
    for name, section in lists.items():
        lines += _table(f"[[{name}]]", f"{name}.", section.model_fields, variables)
    return "\n".join(lines) + "\n"


def _section(field: FieldInfo) -> type[s.Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, s.Section) else None


def _table(title: str, prefix: str, fields: dict[str, FieldInfo], variables: dict[str, str]) -> list[str]:
    lines = ["", f"## {title}", "", "| setting | default | meaning |", "|---|---|---|"]
    for name, field in fields.items():
        variable = variables.get(prefix + name)
        shown = f"`{name}`" + (f" (`{variable}`)" if variable else "")
        meaning = " ".join((field.description or "").split()) + _bounds(field)
        lines.append(f"| {shown} | {_default(field)} | {meaning} |")
    return lines


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, BaseModel) or value in ("", (), None):
        return ""
    return f"`{value}`"


def _bounds(field: FieldInfo) -> str:
    parts: list[str] = []
    for rule in field.metadata:
        for attribute, words in (("ge", "at least"), ("gt", "over"), ("le", "at most"), ("lt", "under")):
            if (value := getattr(rule, attribute, None)) is not None:
                parts.append(f"{words} {value}")
    return f" ({', '.join(parts)})" if parts else ""


def commands() -> str:
    lines = [
        "# Commands",
        "",
        "The same on every platform: slash commands on Discord, the menu on Telegram, buttons on the web. On Discord",
        "they have Chinese names, too, and some are in the menu of each message or person; elsewhere those are used as",
        "a reply.",
        "",
        "| command | options | what it does | 中文 | answer seen by |",
        "|---|---|---|---|---|",
    ]
    for row in COMMANDS:
        if not row.listed or row.name in PARENTS:
            continue
        options = "<br>".join(
            f"`{option.name}`: {row.explain(option)}{'' if option.required else ' (optional)'}"
            for option in row.options
        )
        seen = "you alone, where the platform can" if row.private else "everyone in the chat"
        if row.right in OF_ALL:
            seen += f"; not for those whom the right to {row.right} was taken from"
        elif row.right:
            seen += f"; needs the right to {row.right} there"
        elif row.for_admins:
            seen += "; in groups administrators choose"
        if row.needs:
            seen += f"; needs a model of the kind `{row.needs}`"
        if row.for_owner:
            seen = "owners only (setting `owners`), and in groups only where the platform can show it to them alone"
        what = row.summary()
        if row.menu:
            what += f" (on Discord also “{row.called_in_menu()}” in the menu of each {MENUS[row.menu]})"
        lines.append(f"| `/{row.name}` | {options} | {what} | `/{row.called('zh')}` {row.summary('zh')} | {seen} |")
    return "\n".join(lines) + "\n"


def rights() -> str:
    """The tables of the section on roles and rights."""
    lines = ["| right | what it lets people do | held by default by | Discord's permission | Telegram's right |"]
    lines.append("|---|---|---|---|---|")
    for right in Right:
        roles = ", ".join(role for role in reversed(Role) if right in DEFAULTS[role])
        on_discord, on_telegram = PLATFORMS.get(right, ("none", "none"))
        lines.append(f"| `{right}` | {say(f'right.{right}')} | {roles} | {on_discord} | {on_telegram} |")
    lines += ["", "| command | right or role | where |", "|---|---|---|"]
    for row in COMMANDS:
        if row.listed and row.name not in PARENTS and (row.for_owner or row.right or row.for_admins or row.always):
            lines.append(f"| `/{row.name}` | {_needed(row)} | {WHERE[row.where]} |")
    return "\n".join(lines)


def _needed(row: Command) -> str:
    if row.for_owner:
        return "owners"
    if row.right:
        return f"`{row.right}`"
    return "everybody, always" if row.always else "in groups administrators"


def administration() -> str:
    """The page as it is, with its tables made anew."""
    page = (DOCS / "administration.md").read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{rights()}\n\n{END}{after}" if rest else page


def moderation() -> str:
    """The page as it is, with the tables of what rules can say made anew."""
    page = (DOCS / "moderation.md").read_text("utf-8")
    begin = BEGIN.replace("made", "rules: made")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(END)
    return f"{before}{begin}\n\n{rules()}\n\n{END}{after}" if rest else page


def rules() -> str:
    """All names of a rule, with what their attributes' descriptions say."""
    known = (*SEEN, *CONDITIONS, *EFFECTS)
    general = tuple(name for name in Rule.model_fields if name not in known)
    triggers = tuple(name for name in Rule.model_fields if name in SEEN)
    groups = {
        "A rule": general,
        "Triggers: what makes it hit": triggers,
        "Conditions: where, for whom and when (all must hold)": CONDITIONS,
        "Effects: what is done then": EFFECTS,
    }
    lines: list[str] = []
    for title, names in groups.items():
        more = "looked for in | " if set(names) & set(SEEN) else ""
        lines += ["", f"**{title}**", "", f"| name | what it says | {more}".strip(), "|---|---|" + "---|" * bool(more)]
        for name in names:
            said = " ".join((Rule.model_fields[name].description or "").split())
            found = [event for event in get_args(Event) if event in SEEN.get(name, ())]
            lines.append(f"| `{name}` | {said} |" + (f" {', '.join(found)} |" if found else ""))
    listed = ", ".join(f"`{name}` ({len(presets.word_list(name))})" for name in presets.word_lists())
    return "\n".join([*lines, "", f"Lists of words that Parley brings: {listed}."]).strip()


def main() -> int:
    stale: list[str] = []
    pages = {"configuration.md": configuration(), "commands.md": commands(), "administration.md": administration()}
    if (DOCS / "moderation.md").exists():
        pages["moderation.md"] = moderation()
    for name, text in pages.items():
        path = DOCS / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        sys.stderr.write(f"out of date: {', '.join(stale)}. Run: python docs/generate.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
