"""The rows of the command table for documents and what is known from them."""

from __future__ import annotations

from core.access import Right
from core.commands import documents, faq, questions, recommend
from core.commands.row import Command, Kind, Option, Where

ROWS: tuple[Command, ...] = (
    Command("ask", "knowledge", options=(Option("text", required=True, kind=Kind.LONG),)),
    Command(
        "recommend", "knowledge", recommend.recommend, options=(Option("interests", kind=Kind.LONG),), private=True
    ),
    Command(
        "learn",
        "knowledge",
        documents.learn,
        options=(
            Option("file", kind=Kind.FILE),
            Option("for", choices=documents.SCOPES),
            Option("link"),
            Option("title"),
        ),
        menu="message",
        spread=True,
    ),
    Command("documents", "knowledge", documents.list_documents, private=True),
    Command("documents list", "knowledge", documents.list_documents, private=True),
    Command("documents show", "knowledge", documents.show, options=(Option("number", required=True),), private=True),
    Command(
        "documents remove", "knowledge", documents.remove, options=(Option("number", required=True),), private=True
    ),
    Command("documents renew", "knowledge", documents.renew, needs="embedding", private=True),
    Command(
        "search", "knowledge", documents.search, options=(Option("words", required=True, kind=Kind.LONG),), private=True
    ),
    Command("faq", "knowledge", faq.list_rules, private=True, where=Where.GROUPS),
    Command("faq list", "knowledge", faq.list_rules, private=True, where=Where.GROUPS),
    Command(
        "faq add",
        "knowledge",
        faq.add,
        options=(Option("trigger", required=True), Option("answer", required=True, kind=Kind.LONG)),
        right=Right.TEACH,
        private=True,
        where=Where.GROUPS,
        spread=True,
    ),
    Command(
        "faq remove",
        "knowledge",
        faq.remove,
        options=(Option("number", required=True),),
        right=Right.TEACH,
        private=True,
        where=Where.GROUPS,
    ),
    Command(
        "faq test",
        "knowledge",
        faq.test,
        options=(Option("words", required=True, kind=Kind.LONG),),
        right=Right.TEACH,
        private=True,
        where=Where.GROUPS,
    ),
    Command("questions", "knowledge", questions.list_open, right=Right.TEACH, private=True, where=Where.GROUPS),
    Command(
        "answer",
        "knowledge",
        questions.answer,
        options=(Option("number", required=True), Option("words", required=True, kind=Kind.LONG)),
        right=Right.TEACH,
        private=True,
        where=Where.GROUPS,
        spread=True,
    ),
    # Posted by the bot itself, to those who asked.
    Command(
        "answered",
        "knowledge",
        questions.answered,
        options=(Option("question"), Option("by"), Option("words")),
        listed=False,
    ),
)
