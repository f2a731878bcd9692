"""The routes of the chat itself: pages, messages, commands, events."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from bots.web_chat import ids, translate
from bots.web_chat.render import SCREENFUL
from bots.web_chat.site import MAX_STREAMS, Site, language_of, message_id_of, text_of
from bots.web_chat.store import Conversation, Role, State, StoredMessage, User
from core.commands.secret import shown
from core.commands.table import BY_NAME
from core.message import CommandCall, Incoming, clean_text

MAX_PICTURES = 4
"""Pictures in one message."""
HEARTBEAT_SECONDS = 15.0
"""A comment on a silent stream, so that proxies keep it and a dead one is noticed."""
DELETION_BATCH = 500


@dataclass(frozen=True, slots=True)
class Chat:
    """Everything a signed-in person does."""

    site: Site

    def routes(self) -> list[Route]:
        return [
            Route("/", self.home),
            Route("/messages", self.post, methods=["POST"]),
            Route("/c/{conversation}", self.show, methods=["GET"]),
            Route("/c/{conversation}", self.delete, methods=["DELETE"]),
            Route("/c/{conversation}/events", self.events),
            Route("/c/{conversation}/earlier", self.earlier),
            Route("/c/{conversation}/commands/{command}", self.command, methods=["POST"]),
            Route("/c/{conversation}/messages/{message}", self.message, methods=["GET"]),
            Route("/c/{conversation}/messages/{message}", self.edit, methods=["POST"]),
            Route("/c/{conversation}/messages/{message}/edit", self.edit_form),
            Route("/c/{conversation}/messages/{message}/again", self.send_again, methods=["POST"]),
        ]

    # ---- pages

    async def home(self, request: Request) -> Response:
        user = await self.site.user(request)
        return await self._page(request, user, None)

    async def show(self, request: Request) -> Response:
        user = await self.site.user(request)
        return await self._page(request, user, await self.site.conversation(request, user))

    async def _page(self, request: Request, user: User, conversation: Conversation | None) -> Response:
        messages: list[StoredMessage] = []
        revision = 0
        if conversation is not None:
            page = await self.site.store.page(user.id, conversation.id, "", SCREENFUL + 1)
            revision = page.revision
            messages = [change.message for change in page.items if change.message is not None]
        html = self.site.renderer.chat(
            language_of(request),
            user=user,
            token=self.site.signer.token(user.id),
            conversation=conversation,
            conversations=await self.site.store.conversations(user.id),
            revision=revision,
            messages=messages[-SCREENFUL:],
            has_earlier=len(messages) > SCREENFUL,
            models=self.site.models(),
            ticket=ids.new_name(),
            max_upload=self.site.max_upload,
        )
        response = HTMLResponse(html)
        self.site.let_in(response, user)
        return response

    async def earlier(self, request: Request) -> Response:
        user = await self.site.user(request)
        conversation = await self.site.conversation(request, user)
        before = request.query_params.get("before", "")
        if not ids.is_message_id(before):
            raise HTTPException(400)
        page = await self.site.store.page(user.id, conversation.id, before, SCREENFUL + 1)
        messages = [change.message for change in page.items if change.message is not None]
        language = language_of(request)
        return HTMLResponse(
            self.site.renderer.page(
                "earlier.html",
                language,
                conversation=conversation.id,
                first=messages[-SCREENFUL:][0].id if len(messages) > SCREENFUL else "",
            )
            + self.site.renderer.messages(language, conversation.id, messages[-SCREENFUL:])
        )

    # ---- asking

    async def post(self, request: Request) -> Response:
        """A new message, in a conversation or as the beginning of one."""
        user = await self.site.user(request)
        form = await request.form()
        text, name, ticket = clean_text(text_of(form, "text")), text_of(form, "conversation"), text_of(form, "ticket")
        pictures = [value for value in form.getlist("picture") if isinstance(value, str) and ids.is_name(value)]
        if len(pictures) > MAX_PICTURES:
            return self.site.error(request, 422, "upload_many", allowed=str(MAX_PICTURES))
        files = await self.site.store.files(user.id, pictures)
        reply_to = text_of(form, "reply")
        if not (text or files):
            raise HTTPException(422)
        if not ids.is_name(ticket) or not (reply_to == "" or ids.is_message_id(reply_to)):
            raise HTTPException(400)
        # A form that comes twice (a lost answer, a double click) is the same message with the same ids.
        kind = translate.kind_of(translate.typed_command(text)[0])
        claim = f"{name or ids.new_name()} {ids.new_message_id(kind, await self.site.store.now())}"
        claimed, _, message_id = (await self.site.store.claim(user.id, ticket, claim)).partition(" ")
        as_shown = shown(BY_NAME.get(translate.typed_command(text)[0]), text)
        title = translate.title_of(as_shown, files[0].name if files else "…")
        model = "" if name else self._model(form)
        conversation = await self._opened(user, name, claimed, title, model)
        stored = StoredMessage(message_id, Role.QUESTION, text, State.SENDING, tuple(files), reply_to=reply_to)
        about = await self._replied_to(user, conversation, stored)
        incoming = self._as_incoming(request, user, conversation, stored, about)
        if about is not None:
            stored = replace(stored, reply_words=translate.words_of(about))
        stored = replace(stored, text=as_shown)
        first = self._model_call(request, user, conversation, message_id) if model else ()
        await self._send(user, conversation.id, stored, [*first, incoming])
        await self._note_model(user, conversation, incoming)
        return await self._posted(request, user, conversation, replace(stored, state=State.SENT), not name)

    async def _opened(self, user: User, name: str, claimed: str, title: str, model: str) -> Conversation:
        """The conversation to write in; made where the form named none. One that is gone was deleted in another tab."""
        found = await self.site.store.conversation(user.id, claimed) if ids.is_name(claimed) else None
        if found is not None:
            return found
        if name:
            raise HTTPException(404)
        made = Conversation(claimed, title, time.time(), model)
        await self.site.store.save_conversation(user.id, made)
        return made

    def _model_call(
        self, request: Request, user: User, conversation: Conversation, message_id: str
    ) -> Sequence[CommandCall]:
        """The model chosen before a conversation began, told to it before its first question."""
        call = translate.to_call(
            user,
            ids.key_of(user.id, conversation.id),
            "model",
            message_id=f"{message_id[:-1]}{ids.COMMAND}",
            argument=conversation.model,
            language=language_of(request),
            now=time.time(),
        )
        return (call,)

    def _model(self, form: FormData) -> str:
        """The model chosen for a new conversation; empty for the default."""
        wanted, models = text_of(form, "model"), self.site.models()
        return wanted if wanted in models[1:] else ""

    async def _note_model(self, user: User, conversation: Conversation, asked: Incoming) -> None:
        if isinstance(asked, CommandCall) and asked.name == "model" and asked.options.get("text") in self.site.models():
            await self.site.store.save_conversation(
                user.id, replace(conversation, model=asked.options["text"], used_at=time.time())
            )

    async def _send(self, user: User, conversation: str, stored: StoredMessage, incoming: list[Incoming]) -> None:
        """Kept as unsent, handed over, kept as sent: wherever this process ends, the page shows what is true."""
        await self.site.store.save(user.id, conversation, stored)
        await self.site.inbox.accept(incoming)
        await self.site.store.save(user.id, conversation, replace(stored, state=State.SENT))

    async def _posted(
        self, request: Request, user: User, conversation: Conversation, message: StoredMessage, is_new: bool
    ) -> Response:
        html = self.site.renderer.posted(
            language_of(request),
            message,
            ticket=ids.new_name(),
            place=conversation.id,
            conversation=conversation if is_new else None,
            conversations=await self.site.store.conversations(user.id) if is_new else (),
            models=self.site.models(),
        )
        return HTMLResponse(html, headers={"HX-Push-Url": f"/c/{conversation.id}"} if is_new else None)

    async def send_again(self, request: Request) -> Response:
        """A question that was kept, but may not have been handed over. The mailbox refuses what it has."""
        user = await self.site.user(request)
        conversation = await self.site.conversation(request, user)
        stored = await self._stored(user, conversation, message_id_of(request))
        if stored.state is not State.SENDING:
            return Response(status_code=204)
        about = await self._replied_to(user, conversation, stored)
        await self._send(user, conversation.id, stored, [self._as_incoming(request, user, conversation, stored, about)])
        return Response(status_code=204)

    async def _replied_to(self, user: User, conversation: Conversation, stored: StoredMessage) -> StoredMessage | None:
        """The message that a question is about, as far as it is still there."""
        if not stored.reply_to:
            return None
        return await self.site.store.message(user.id, conversation.id, stored.reply_to)

    def _as_incoming(
        self,
        request: Request,
        user: User,
        conversation: Conversation,
        stored: StoredMessage,
        about: StoredMessage | None,
    ) -> Incoming:
        key, language = ids.key_of(user.id, conversation.id), language_of(request)
        if stored.edited:
            return translate.to_edit(
                user,
                key,
                stored.text,
                message_id=stored.id,
                update=ids.new_message_id(ids.QUESTION),
                language=language,
                now=time.time(),
                files=stored.files,
                about=about,
            )
        return translate.to_incoming(
            user,
            key,
            stored.text,
            message_id=stored.id,
            language=language,
            now=time.time(),
            files=stored.files,
            about=about,
        )

    # ---- editing

    async def message(self, request: Request) -> Response:
        user = await self.site.user(request)
        conversation = await self.site.conversation(request, user)
        stored = await self._stored(user, conversation, message_id_of(request))
        return HTMLResponse(self.site.renderer.messages(language_of(request), conversation.id, (stored,)))

    async def edit_form(self, request: Request) -> Response:
        user = await self.site.user(request)
        conversation = await self.site.conversation(request, user)
        stored = await self._stored(user, conversation, message_id_of(request))
        if stored.role is not Role.QUESTION:
            raise HTTPException(404)
        return HTMLResponse(
            self.site.renderer.page("edit.html", language_of(request), m=stored, conversation=conversation.id)
        )

    async def edit(self, request: Request) -> Response:
        """The same question in other words: its answer is made anew in place."""
        user = await self.site.user(request)
        conversation = await self.site.conversation(request, user)
        stored = await self._stored(user, conversation, message_id_of(request))
        text = clean_text(text_of(await request.form(), "text"))
        if stored.role is not Role.QUESTION or not (text or stored.files):
            raise HTTPException(422)
        edited = replace(stored, text=text, edited=True, state=State.SENDING)
        # Before the new one can come: afterwards it could be the new one that is taken away.
        await self.site.store.remove(user.id, conversation.id, ids.answer_id(stored.id, 0))
        about = await self._replied_to(user, conversation, edited)
        incoming = self._as_incoming(request, user, conversation, edited, about)
        await self._send(user, conversation.id, edited, [incoming])
        sent = replace(edited, state=State.SENT)
        return HTMLResponse(self.site.renderer.messages(language_of(request), conversation.id, (sent,)))

    async def _stored(self, user: User, conversation: Conversation, message_id: str) -> StoredMessage:
        found = await self.site.store.message(user.id, conversation.id, message_id)
        if found is None:
            raise HTTPException(404)
        return found

    # ---- commands

    async def command(self, request: Request) -> Response:
        """A pressed button."""
        user = await self.site.user(request)
        conversation = await self.site.conversation(request, user)
        name = request.path_params["command"]
        form = await request.form()
        argument, reply_to = clean_text(text_of(form, "model")), text_of(form, "message")
        if name not in ("stop", "regenerate", "continue", "model") or not (
            reply_to == "" or ids.is_message_id(reply_to)
        ):
            raise HTTPException(404)
        if name == "model" and argument not in self.site.models():
            raise HTTPException(422)
        kind = ids.SILENT if name == "stop" else translate.kind_of(name)
        call = translate.to_call(
            user,
            ids.key_of(user.id, conversation.id),
            name,
            message_id=ids.new_message_id(kind, await self.site.store.now()),
            language=language_of(request),
            now=time.time(),
            argument=argument,
            reply_to=reply_to,
        )
        await self.site.inbox.accept([call])
        await self._note_model(user, conversation, call)
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        user = await self.site.user(request)
        conversation = await self.site.conversation(request, user)
        key = ids.key_of(user.id, conversation.id)
        page = await self.site.store.page(user.id, conversation.id, "", 1_000_000)
        names = [change.id for change in page.items]
        # Forgotten first: what is only hidden would still be in the model's context.
        for start in range(0, len(names), DELETION_BATCH):
            await self.site.inbox.accept([translate.to_deletion(key, names[start : start + DELETION_BATCH])])
        await self.site.store.remove_conversation(user.id, conversation.id)
        return Response(status_code=204, headers={"HX-Redirect": "/"})

    # ---- events

    async def events(self, request: Request) -> Response:
        """Server-sent events: whatever changed after the revision that the browser has."""
        site = self.site
        user = await site.user(request)
        conversation = await site.conversation(request, user)
        after = request.headers.get("last-event-id") or request.query_params.get("after", "0")
        if not after.isdecimal() or len(after) > 15:
            raise HTTPException(400)
        if site.streams[user.id] >= MAX_STREAMS:
            return site.error(request, 429, "streams_full")
        return StreamingResponse(
            self._stream(user, conversation.id, int(after), language_of(request)),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    async def _stream(self, user: User, conversation: str, after: int, language: str) -> AsyncGenerator[str]:
        site = self.site
        site.streams[user.id] += 1
        try:
            async with site.store.watch(user.id, conversation) as watch:
                # Something at once: the browser then knows that it is connected.
                yield ": hello\n\n"
                while not watch.is_closed:
                    changes = await site.store.changes(user.id, conversation, after)
                    after = changes.revision
                    if changes.items:
                        yield _event(after, site.renderer.changes(language, conversation, changes.items))
                    if not await watch.changed(HEARTBEAT_SECONDS):
                        yield ": still here\n\n"
        finally:
            site.streams[user.id] -= 1
            if not site.streams[user.id]:
                del site.streams[user.id]


def _event(revision: int, html: str) -> str:
    lines = "".join(f"data: {line}\n" for line in html.replace("\r", "").split("\n"))
    return f"id: {revision}\n{lines}\n"
