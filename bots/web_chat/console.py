"""The owner's pages: the spaces that bots are in, their settings, who changed what. Plain forms, which work without
script."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from bots.web_chat.site import Site, language_of, text_of
from bots.web_chat.store import User
from core.commands import space_pages
from core.commands.spaces import zone_in
from core.message import Platform
from core.people import changing, fields, transfer
from core.people.changing import Actor, NothingToUndo, change_space
from core.people.fields import FIELDS, GROUPS, Field, Kind, Refused, Terms
from core.people.identity import Person
from core.people.spaces import SpaceSettings
from core.storage.records import Conflict, Kept
from core.storage.spaces_seen import SeenSpace
from core.texts import languages, say

LOGGED = 50
"""Changes that the page of a space shows."""
HOME = "/console"
_ID = re.compile(r"-?[0-9]{1,20}")
_TYPED = (Kind.NUMBER, Kind.MONEY, Kind.CHANNELS, Kind.HOURS, Kind.WORDS, Kind.ZONE, Kind.LIMIT, Kind.TEXT)
_TICKED = (Kind.MODELS, Kind.TOOLS)


@dataclass(frozen=True, slots=True)
class Space:
    """A space as the pages name it."""

    id: str
    """That of ``core.people.spaces.space_id``."""
    path: str
    name: str
    platform: str
    seen: SeenSpace | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """A field of the form."""

    field: Field
    label: str
    kind: str
    """``choose``, ``check`` or ``type``."""
    value: str
    """As typed; empty where nobody chose."""
    options: Sequence[tuple[str, str, bool]] = ()
    """Value, label, and whether it is chosen."""
    hint: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Console:
    """Only for who came in by the one-time link."""

    site: Site

    def routes(self) -> list[Route]:
        space = HOME + "/spaces/{platform}/{bot}/{space}"
        return [
            Route(HOME, self.home),
            Route(space, self.show, methods=["GET"]),
            Route(space, self.save, methods=["POST"]),
            Route(f"{space}/undo", self.undo, methods=["POST"]),
            Route(f"{space}/export", self.export, methods=["GET"]),
            Route(f"{space}/import", self.compare, methods=["POST"]),
            Route(f"{space}/apply", self.apply, methods=["POST"]),
        ]

    # ---- pages

    async def home(self, request: Request) -> Response:
        user = await self.site.owner(request)
        records, seen = self.site.community.spaces.records, await self.site.community.seen.all()
        known = {each.space_id: each for each in seen}
        ids = dict.fromkeys((*known, *await records.ids()))
        spaces = [space for id in ids if (space := _space(id, known.get(id))) is not None]
        spaces.sort(key=lambda space: (space.platform, space.name.lower()))
        return self._page(request, user, "console_spaces.html", spaces=spaces)

    async def show(self, request: Request) -> Response:
        user = await self.site.owner(request)
        space, kept = await self._found(request)
        word = request.query_params.get("done", "")
        return await self._form(request, user, space, kept, done=word if word in ("saved", "undone") else "")

    async def export(self, request: Request) -> Response:
        await self.site.owner(request)
        space, kept = await self._found(request)
        name = f"settings-{space.platform}-{space.id.rpartition(':')[2]}.toml"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(transfer.written(kept.value, kept.id), media_type=transfer.MIME, headers=headers)

    # ---- changes

    async def save(self, request: Request) -> Response:
        form = await _form_of(request)
        user = await self.site.owner(request, text_of(form, "token"))
        space, kept = await self._found(request)
        terms = await self._terms(request, space)
        typed = {field.name: _given(field, form) for field in FIELDS}
        wanted: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for field in FIELDS:
            if _parts(typed[field.name]) == _parts(_typed(field, kept.value)):
                continue
            try:
                wanted[field.name] = fields.parse(field, typed[field.name] or "auto", terms)
            except Refused as refused:
                errors[field.name] = _told(refused, terms.language)
        if errors and _version(text_of(form, "version")) != kept.version:
            # Shown again with what was typed, the page would put back what somebody else has changed.
            return await self._conflict(request, user, space)
        if errors:
            return await self._form(request, user, space, kept, typed=typed, errors=errors, status=422)
        return await self._applied(request, user, space, wanted, text_of(form, "version"))

    async def apply(self, request: Request) -> Response:
        """A file whose differences were shown."""
        form = await _form_of(request)
        user = await self.site.owner(request, text_of(form, "token"))
        space, kept = await self._found(request)
        try:
            wanted = transfer.read(text_of(form, "file").encode(), await self._terms(request, space))
        except Refused as refused:
            error = _told(refused, language_of(request))
            return await self._form(request, user, space, kept, error=error, status=422)
        return await self._applied(request, user, space, wanted, text_of(form, "version"))

    async def undo(self, request: Request) -> Response:
        form = await _form_of(request)
        user = await self.site.owner(request, text_of(form, "token"))
        space, kept = await self._found(request)
        try:
            seen = _version(text_of(form, "version"))
            await changing.undo(self.site.community, space.id, await self._actor(user), seen=seen)
        except NothingToUndo:
            error = say("space_undo_none", language_of(request))
            return await self._form(request, user, space, kept, error=error, status=409)
        except Conflict:
            return await self._conflict(request, user, space)
        return RedirectResponse(f"{space.path}?done=undone", 303)

    async def compare(self, request: Request) -> Response:
        """What a file would change, before anything is."""
        async with request.form() as form:
            user = await self.site.owner(request, text_of(form, "token"))
            space, kept = await self._found(request)
            file = form.get("file")
            data = await file.read(transfer.MOST_BYTES + 1) if isinstance(file, UploadFile) else b""
        terms = await self._terms(request, space)
        try:
            if not data:
                raise Refused("import_none")
            steps = transfer.steps(kept.value, transfer.read(data, terms))
            if not steps:
                raise Refused("import_same")
        except Refused as refused:
            error = _told(refused, terms.language)
            return await self._form(request, user, space, kept, error=error, status=422)
        told = self.site.renderer.markdown(space_pages.compared(steps, terms), terms.language)
        return self._page(
            request, user, "console_import.html", space=space, version=kept.version, told=told, file=data.decode()
        )

    async def _applied(
        self, request: Request, user: User, space: Space, wanted: Mapping[str, Any], version: str
    ) -> Response:
        try:
            await change_space(
                self.site.community,
                space.id,
                await self._actor(user),
                lambda settings: transfer.applied(settings, wanted),
                seen=_version(version),
            )
        except Conflict:
            return await self._conflict(request, user, space)
        return RedirectResponse(f"{space.path}?done=saved", 303)

    async def _conflict(self, request: Request, user: User, space: Space) -> Response:
        kept = await self.site.community.spaces.records.fresh(space.id)
        error = say("conflict", language_of(request))
        return await self._form(request, user, space, kept, error=error, status=409)

    # ---- what they share

    async def _found(self, request: Request) -> tuple[Space, Kept[SpaceSettings]]:
        """The space in the path: one that a bot was seen in, or that has settings; 404 else."""
        platform, bot, id = (request.path_params[name] for name in ("platform", "bot", "space"))
        space = _space(f"{platform}:{bot}:{id}", None)
        if space is None:
            raise HTTPException(404)
        kept = await self.site.community.spaces.records.fresh(space.id)
        known = {each.space_id: each for each in await self.site.community.seen.of(Platform(platform), bot)}
        if not kept.version and space.id not in known:
            raise HTTPException(404)
        return _space(space.id, known.get(space.id)) or space, kept

    async def _actor(self, user: User) -> Actor:
        person = await self.site.community.people.of(f"{Platform.WEB}:{user.id}")
        return Actor(person.id, user.name)

    async def _terms(self, request: Request, space: Space) -> Terms:
        community = self.site.community
        return Terms(
            models=tuple(self.site.models()),
            personas=tuple(persona.name for persona in await community.personas.offered(Person(), space.id)),
            tools=community.settings.tool_names,
            currency=community.settings.chat.currency,
            language=language_of(request),
        )

    async def _form(
        self,
        request: Request,
        user: User,
        space: Space,
        kept: Kept[SpaceSettings],
        *,
        typed: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        error: str = "",
        done: str = "",
        status: int = 200,
    ) -> Response:
        """The page of one space. ``typed`` is what was entered, ``errors`` what is wrong with it, by field."""
        terms = await self._terms(request, space)
        inputs = [
            _input(
                field,
                kept.value,
                terms,
                typed[field.name] if typed else _typed(field, kept.value),
                (errors or {}).get(field.name, ""),
            )
            for field in FIELDS
        ]
        groups = [
            (say(f"group.{name}", terms.language), [one for one in inputs if one.field.group == name])
            for name in GROUPS
        ]
        entries = await changing.history(self.site.community, space.id, LOGGED)
        zone = zone_in(self.site.community, kept.value)
        log = "\n".join(f"- {space_pages.told(entry, terms, zone)}" for entry in entries)
        return self._page(
            request,
            user,
            "console_space.html",
            status,
            space=space,
            version=kept.version,
            groups=groups,
            zones=sorted(fields.zones().values()),
            log=self.site.renderer.markdown(log, terms.language) if entries else "",
            error=error or (say("web.console_wrong", terms.language) if errors else ""),
            done=done,
        )

    def _page(self, request: Request, user: User, name: str, status: int = 200, **values: Any) -> Response:
        token = self.site.signer.token(user.id)
        return HTMLResponse(self.site.renderer.page(name, language_of(request), token=token, **values), status)


def _space(id: str, seen: SeenSpace | None) -> Space | None:
    """None for what is no space's id."""
    platform, _, rest = id.partition(":")
    bot, _, space = rest.partition(":")
    if platform not in (Platform.DISCORD, Platform.TELEGRAM) or not _ID.fullmatch(bot) or not _ID.fullmatch(space):
        return None
    name = (seen.name if seen else "") or space
    return Space(id, f"{HOME}/spaces/{platform}/{bot}/{space}", name, platform, seen)


def _told(refused: Refused, language: str) -> str:
    """As plain text: what is quoted in it is made harmless for Markdown."""
    return say(refused.key, language, **refused.values).replace("\\", "")


async def _form_of(request: Request) -> FormData:
    """A form without files: what came as one is closed, and counts as nothing."""
    async with request.form() as form:
        return form


def _version(text: str) -> int:
    """What the page showed; -1, which nothing has, for what no page of ours sends."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else -1


def _typed(field: Field, settings: SpaceSettings) -> str:
    value = fields.get(settings, field)
    return "" if value is None else fields.typed(field, value)


def _given(field: Field, form: FormData) -> str:
    values = [value for value in form.getlist(field.name) if isinstance(value, str)]
    return ", ".join(values).strip()


def _parts(typed: str) -> frozenset[str]:
    """Of a list the order does not count."""
    return frozenset(part.strip() for part in typed.split(","))


def _input(field: Field, settings: SpaceSettings, terms: Terms, typed: str, error: str) -> Input:
    label = field.called(terms.language)
    if field.kind in _TYPED:
        hint = say(f"field_hint.{field.kind}", terms.language)
        return Input(field, label, "type", typed, hint=hint, error=error)
    match field.kind:
        case Kind.SWITCH:
            values = {word: say(f"setting_{word}", terms.language) for word in ("on", "off")}
        case Kind.CHOICE:
            values = {choice: say(f"field.{field.name}.{choice}", terms.language) for choice in field.choices}
        case Kind.LANGUAGE:
            values = {code: fields.show(field, code, terms) for code in languages()}
        case Kind.PERSONA:
            values = {name: name for name in terms.personas}
        case Kind.TOOLS:
            values = {name: fields.tool_called(name, terms.language) for name in (*terms.tools, fields.NO_TOOLS)}
        case _:
            values = {name: name for name in terms.models}
    chosen = _parts(typed) if field.kind in _TICKED else {typed}
    # What was chosen and is not there any more is shown, and stays until somebody chooses otherwise.
    values |= {value: value for value in sorted(chosen) if value and value not in values}
    options = [(value, name, value in chosen) for value, name in values.items()]
    if field.kind in _TICKED:
        hint = say(f"field_hint.{field.kind}", terms.language)
        return Input(field, label, "check", typed, options, hint=hint, error=error)
    usual = ("", say("setting_usual", terms.language), not typed)
    return Input(field, label, "choose", typed, (usual, *options), error=error)
