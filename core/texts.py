"""Every sentence Parley itself says, by key and language. Errors are for people: what was wrong, what to do."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH: dict[str, str] = {
    "length": "The answer was cut by the model's length limit. Use “Continue” or /continue to go on.",
    "filtered": "The model's provider stopped this answer with its content filter. Ask differently, or choose another model with /model.",
    "broken": "The answer broke off here: the model stopped responding. Ask again, or choose another model with /model.",
    "empty": "The model gave no text. Ask again in other words, or choose another model with /model.",
    "failed": "No model can answer right now. Please try again in a few minutes.",
    "stopped": "Stopped.",
    "refused": "This answer could not be shown: the platform refused it. Ask again in other words.",
    "crashed": "This question could not be answered after several tries. Please ask it again in other words.",
    "fallback": "Continued with {model}: the first model broke off.",
    "overflow": "Too many messages at once: {count} of them were not read. Please send the important ones again.",
    "too_long": "That message is too long: it has {found} characters, at most {allowed} are read. Please shorten it or split it.",
    "unsupported": "I cannot read a {kind} yet. Please write it as text, or send a picture.",
    "image_too_large": "That picture is too large: {found}, at most {allowed}. Please send a smaller one.",
    "image_unreadable": "That file is not a picture I can read. Please send a JPEG, PNG, WebP or GIF.",
    "file_unsupported": "I cannot read files of that kind yet. Please send a picture, or paste the text.",
    "file_gone": "The file could not be fetched. Please send it again.",
    "no_vision": "The models set up here cannot see pictures. I answer the text only.",
    "shortened": "Your message is longer than this model can read: its middle was left out.",
    "as_file": "The answer is long: here it is as a file.",
    "new": "A fresh start: I will not look at what was said before.",
    "model_is": "This conversation uses **{model}**. Available: {models}.",
    "model_set": "This conversation now uses **{model}**.",
    "model_unknown": "There is no model called “{found}”. Available: {models}.",
    "no_models": "No model is set up. The owner can add one: see the README.",
    "forgotten": "Forgotten: the message and its answer are gone from my memory.",
    "forget_how": "Reply with /forget to the message that I should forget, or give its link; /new starts afresh.",
    "forget_unknown": "I do not remember that message, so there is nothing to forget.",
    "nothing_to_stop": "Nothing is being answered right now.",
    "nothing_to_continue": "There is no answer here that could be continued.",
    "nothing_to_regenerate": "There is no answer here that could be made anew.",
    "welcome": "Hello! Write to me and I answer. /help shows what else I can do.",
    "unknown_command": "There is no command /{found}. /help shows the ones there are.",
    "chat_empty": "Please write what you want to say, like: /chat What is the tallest mountain?",
    "help_head": "Write to me in a private chat. In a group, mention me or reply to me. Commands:",
}
CHINESE: dict[str, str] = {
    "length": "回答因模型的长度限制被截断。点“继续”或发送 /continue 接着写。",
    "filtered": "模型提供商的内容过滤器中止了这个回答。请换个问法，或用 /model 换一个模型。",
    "broken": "回答在此中断：模型停止了响应。请重新提问，或用 /model 换一个模型。",
    "empty": "模型没有给出文字。请换个说法再问，或用 /model 换一个模型。",
    "failed": "目前没有模型可以回答。请过几分钟再试。",
    "stopped": "已停止。",
    "refused": "这个回答无法显示：平台拒绝了它。请换个说法再问。",
    "crashed": "这个问题试了几次都没能回答。请换个说法再问。",
    "fallback": "由 {model} 接着回答：前一个模型中断了。",
    "overflow": "一次收到的消息太多：有 {count} 条没有读取。请重新发送重要的内容。",
    "too_long": "消息太长：有 {found} 个字符，最多读取 {allowed} 个。请缩短或分开发送。",
    "unsupported": "我还不能读取这类内容（{kind}）。请用文字写出来，或发一张图片。",
    "image_too_large": "图片太大：{found}，最大 {allowed}。请发一张小一点的。",
    "image_unreadable": "这个文件不是我能读取的图片。请发送 JPEG、PNG、WebP 或 GIF。",
    "file_unsupported": "我还不能读取这种文件。请发送图片，或把文字粘贴过来。",
    "file_gone": "无法取得该文件。请重新发送。",
    "no_vision": "这里的模型看不了图片。我只回答文字部分。",
    "shortened": "消息超出了该模型的阅读长度：中间部分被略去。",
    "as_file": "回答较长：以文件形式附上。",
    "new": "重新开始：我不再参考之前的内容。",
    "model_is": "本对话使用 **{model}**。可选：{models}。",
    "model_set": "本对话现在使用 **{model}**。",
    "model_unknown": "没有名为“{found}”的模型。可选：{models}。",
    "no_models": "还没有设置模型。请管理员参照 README 添加。",
    "forgotten": "已忘记：该消息和它的回答已从我的记忆中删除。",
    "forget_how": "请用 /forget 回复要我忘记的消息，或给出它的链接；/new 可重新开始。",
    "forget_unknown": "我不记得那条消息，没有可忘记的内容。",
    "nothing_to_stop": "现在没有正在进行的回答。",
    "nothing_to_continue": "这里没有可以继续的回答。",
    "nothing_to_regenerate": "这里没有可以重新生成的回答。",
    "welcome": "你好！直接发消息给我就会得到回答。/help 会列出其他功能。",
    "unknown_command": "没有命令 /{found}。/help 会列出所有命令。",
    "chat_empty": "请写上想说的话，例如：/chat 世界上最高的山是哪座？",
    "help_head": "私聊中直接写给我；在群里请提及我或回复我。命令：",
}
LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "zh": CHINESE}


def say(key: str, language: str = "", **values: str) -> str:
    """The sentence for ``key`` in the language (a code like ``zh-CN``; English when unknown)."""
    table = LANGUAGES.get(language.partition("-")[0].lower(), ENGLISH)
    return table.get(key, ENGLISH[key]).format(**values)
