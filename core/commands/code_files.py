"""Code as files: what stands in an answer's fenced blocks, with safe names."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import PurePosixPath

from core.parts import Finished, Media, Part, TextDelta

MOST_FILES = 8
LONGEST_NAME = 60
ENDINGS = {
    "python": ".py", "py": ".py", "javascript": ".js", "js": ".js", "typescript": ".ts", "ts": ".ts", "tsx": ".tsx",
    "jsx": ".jsx", "java": ".java", "kotlin": ".kt", "swift": ".swift", "c": ".c", "cpp": ".cpp", "c++": ".cpp",
    "csharp": ".cs", "cs": ".cs", "c#": ".cs", "go": ".go", "golang": ".go", "rust": ".rs", "rs": ".rs", "ruby": ".rb",
    "rb": ".rb", "php": ".php", "html": ".html", "css": ".css", "scss": ".scss", "sql": ".sql", "bash": ".sh",
    "sh": ".sh", "shell": ".sh", "zsh": ".sh", "powershell": ".ps1", "json": ".json", "yaml": ".yaml", "yml": ".yaml",
    "toml": ".toml", "xml": ".xml", "markdown": ".md", "md": ".md", "r": ".r", "lua": ".lua", "perl": ".pl",
    "scala": ".scala", "haskell": ".hs", "dart": ".dart", "julia": ".jl", "dockerfile": ".dockerfile", "vue": ".vue",
    "makefile": ".mk", "ini": ".ini", "diff": ".diff", "latex": ".tex", "tex": ".tex", "csv": ".csv", "svg": ".svg",
}  # fmt: skip
_BLOCK = re.compile(
    r"^(?P<fence>`{3,}|~{3,})(?P<word>[^\n`]*)\n(?P<code>.*?)^(?P=fence)[`~]*\s*$", re.DOTALL | re.MULTILINE
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)
"""Names that Windows does not take for files."""


async def with_files(parts: AsyncGenerator[Part]) -> AsyncIterator[Part]:
    """An answer's parts, and before its end the code in it as files."""
    texts: list[str] = []
    async for part in parts:
        if isinstance(part, TextDelta):
            texts.append(part.text)
        if isinstance(part, Finished):
            for file in files_in("".join(texts)):
                yield file
        yield part


def files_in(markdown: str) -> list[Media]:
    """A file for each fenced block, under the name that the line before it gives, else ``code`` with the ending of its
    language. Pure."""
    files: dict[str, Media] = {}
    for found in _BLOCK.finditer(markdown):
        code = found["code"]
        if not code.strip() or len(files) == MOST_FILES:
            continue
        word = found["word"].strip().lower().partition(" ")[0]
        said = markdown[: found.start()].rstrip().rpartition("\n")[2]
        name = _free(_safe(said) or f"code{ENDINGS.get(word, '.txt')}", files)
        files[name] = Media(name, "text/plain", code.encode())
    return list(files.values())


def _safe(line: str) -> str:
    """The file's name that a line is; empty where it is none. A path is only as good as its last step."""
    said = line.strip().strip("#*`: ")
    name = PurePosixPath(said.replace("\\", "/")).name
    if " " in said or "." not in name.strip(".") or not _NAME.fullmatch(name) or _RESERVED.match(name):
        return ""
    return name[:LONGEST_NAME]


def _free(name: str, taken: dict[str, Media]) -> str:
    """No two files of one answer have one name."""
    stem, dot, ending = name.rpartition(".")
    number, free = 1, name
    while free.lower() in {one.lower() for one in taken}:
        number += 1
        free = f"{stem}-{number}{dot}{ending}"
    return free
