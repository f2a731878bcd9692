"""The command table. Discord's slash commands, Telegram's menu, the web's palette, /help and docs/commands.md are
all made from these rows."""

from __future__ import annotations

from core.commands import admin, chat
from core.commands.row import Command, Option

COMMANDS: tuple[Command, ...] = (
    Command(
        "chat",
        "chat",
        "Ask me something",
        "向我提问",
        option=Option("text", "What you want to say", "想说的话", required=True),
    ),
    Command("new", "chat", "Start afresh", "重新开始", chat.new),
    Command("regenerate", "chat", "Make the last answer anew", "重新生成上一个回答"),
    Command("continue", "chat", "Go on with an answer that was cut", "继续被截断的回答"),
    Command(
        "stop",
        "chat",
        "Stop the answer being written",
        "停止正在写的回答",
        chat.stop,
        private=True,
        urgent=True,
    ),
    Command(
        "model",
        "chat",
        "Show or choose the model of this conversation",
        "查看或选择本对话的模型",
        chat.model,
        option=Option("text", "Name of a model", "模型名称"),
        private=True,
    ),
    Command(
        "forget",
        "me",
        "As a reply, or with a message's link: forget it and its answer",
        "回复一条消息，或给出消息链接：忘记它和它的回答",
        chat.forget,
        option=Option("text", "Link or id of the message", "消息的链接或编号"),
        private=True,
    ),
    Command("help", "chat", "What I can do", "我能做什么", chat.help, private=True),
    Command(
        "admin",
        "admin",
        "What could not be answered: see it, ask again, drop it",
        "查看、重试或删除未能回答的消息",
        admin.admin,
        option=Option(
            "text",
            "failed, retry ID, retry all, drop ID or drop all",
            "failed、retry 编号、retry all、drop 编号或 drop all",
        ),
        private=True,
        for_owner=True,
    ),
    Command("start", "chat", "Say hello", "打个招呼", chat.start, listed=False),
)

BY_NAME = {command.name: command for command in COMMANDS}
