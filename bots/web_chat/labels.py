"""The words on the pages, by language. Sentences that the bot says stand in core/texts.py."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH: dict[str, str] = {
    "add_picture": "Add a picture",
    "ai_note": "Answers are written by an AI and can be wrong.",
    "ai": "AI",
    "answering": "Parley is answering.",
    "answered": "The answer is complete.",
    "bad_request": "That request was not understood. Reload the page and try again.",
    "cancel": "Cancel",
    "close": "Close",
    "continue": "Continue",
    "conversations": "Conversations",
    "copied": "Copied",
    "copy": "Copy",
    "delete": "Delete this conversation",
    "delete_sure": "Delete this conversation for good?",
    "drop": "Drop the picture here",
    "earlier": "Show earlier messages",
    "edit": "Edit",
    "edited": "edited",
    "enter_button": "Enter",
    "enter_expired": (
        "This link was used before or has expired. Restart Parley for a new one, or ask for a new invitation."
    ),
    "enter_lead": "This link lets one person in, once. Parley will remember this browser.",
    "enter_title": "You are invited to Parley",
    "file_gone": "This file is no longer kept.",
    "gone": "Parley cannot reach its memory right now. Nothing was lost: please try again in a moment.",
    "hello": "What shall we talk about?",
    "hello_lead": "Ask anything, add a picture, or type /help.",
    "home": "Home",
    "invite": "Invite someone",
    "invite_lead": "Whoever opens this link first gets in, with conversations of their own. It works once, for a day.",
    "leave": "Sign out",
    "locked_lead": (
        "Open the one-time link that Parley printed when it started. No link at hand? Restart Parley, or ask "
        "its owner to invite you."
    ),
    "locked_title": "This Parley is private",
    "menu": "Menu",
    "message": "Message",
    "model": "Model",
    "new": "New conversation",
    "no_conversations": "Nothing here yet.",
    "no_script": "The chat needs JavaScript: please switch it on for this address.",
    "not_found": "There is nothing here. It may have been deleted.",
    "not_found_title": "Not found",
    "not_sent": "Not sent yet.",
    "offline": "Connection lost. Trying again…",
    "owner_only": "Only the owner can invite people.",
    "picture": "Picture",
    "placeholder": "Write a message",
    "regenerate": "Answer again",
    "remove": "Remove",
    "reload": "This page is out of date. Reload it and try again.",
    "save": "Save and ask again",
    "send": "Send",
    "send_again": "Send again",
    "send_failed": "That could not be sent. Your text is still here: please try again.",
    "skip": "Skip to the message box",
    "stop": "Stop",
    "stop_hint": "Esc",
    "streams_full": "Too many open tabs: this one is not updated by itself. Close some and reload.",
    "too_large": "That is too large to be read here.",
    "upload_kind": "Only pictures can be added: JPEG, PNG, WebP or GIF.",
    "upload_large": "That picture is too large: at most {allowed} MB.",
    "upload_many": "At most {allowed} pictures fit in one message.",
    "you": "You",
}
CHINESE: dict[str, str] = {
    "add_picture": "添加图片",
    "ai_note": "回答由 AI 生成，可能有误。",
    "ai": "AI",
    "answering": "Parley 正在回答。",
    "answered": "回答已完成。",
    "bad_request": "无法理解该请求。请刷新页面后重试。",
    "cancel": "取消",
    "close": "关闭",
    "continue": "继续",
    "conversations": "对话",
    "copied": "已复制",
    "copy": "复制",
    "delete": "删除此对话",
    "delete_sure": "确定永久删除此对话吗？",
    "drop": "把图片拖到这里",
    "earlier": "显示更早的消息",
    "edit": "编辑",
    "edited": "已编辑",
    "enter_button": "进入",
    "enter_expired": "此链接已被使用或已过期。请重启 Parley 获取新链接，或请求新的邀请。",
    "enter_lead": "此链接只能让一个人进入一次。Parley 会记住此浏览器。",
    "enter_title": "邀请你使用 Parley",
    "file_gone": "该文件已不再保留。",
    "gone": "Parley 暂时无法访问存储。没有丢失任何内容，请稍后重试。",
    "hello": "想聊点什么？",
    "hello_lead": "尽管提问，也可以添加图片，或输入 /help。",
    "home": "首页",
    "invite": "邀请他人",
    "invite_lead": "第一个打开此链接的人可以进入，并拥有自己的对话。链接一天内有效，只能使用一次。",
    "leave": "退出登录",
    "locked_lead": "请打开 Parley 启动时显示的一次性链接。没有链接？请重启 Parley，或请所有者邀请你。",
    "locked_title": "此 Parley 是私有的",
    "menu": "菜单",
    "message": "消息",
    "model": "模型",
    "new": "新对话",
    "no_conversations": "还没有对话。",
    "no_script": "聊天需要 JavaScript，请为此地址启用。",
    "not_found": "这里没有内容，可能已被删除。",
    "not_found_title": "未找到",
    "not_sent": "尚未发送。",
    "offline": "连接已断开，正在重试…",
    "owner_only": "只有所有者可以邀请他人。",
    "picture": "图片",
    "placeholder": "输入消息",
    "regenerate": "重新生成",
    "remove": "移除",
    "reload": "页面已过期，请刷新后重试。",
    "save": "保存并重新提问",
    "send": "发送",
    "send_again": "重新发送",
    "send_failed": "发送失败。文字仍在输入框中，请重试。",
    "skip": "跳到消息输入框",
    "stop": "停止",
    "stop_hint": "Esc",
    "streams_full": "打开的标签页太多，此页不会自动更新。请关闭一些后刷新。",
    "too_large": "内容太大，无法读取。",
    "upload_kind": "只能添加图片：JPEG、PNG、WebP 或 GIF。",
    "upload_large": "图片太大：最大 {allowed} MB。",
    "upload_many": "一条消息最多包含 {allowed} 张图片。",
    "you": "你",
}
TABLES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "zh": CHINESE}
TAGS = {"en": "en", "zh": "zh-CN"}
"""Language code -> what stands in the page's ``lang``."""


def choose(accepted: str) -> str:
    """The language to show, from an Accept-Language header: the best of those we have, else English."""
    best, weight = "en", 0.0
    for item in accepted.split(",")[:20]:
        tag, _, rest = item.strip().partition(";")
        code = tag.partition("-")[0].lower()
        _, _, value = rest.strip().partition("q=")
        try:
            quality = float(value) if value else 1.0
        except ValueError:
            continue
        if code in TABLES and quality > weight:
            best, weight = code, quality
    return best
