"""Passages and their vectors in Redis: a hash for each document, written batch by batch while it is learned.

What is being learned has a day to live until the scope's record names it: who dies on the way leaves nothing for good,
and who goes on finds what is done already. Texts and vectors (which tell much of the texts) are sealed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import UnreadableError
from core.knowledge.documents import Passage
from core.storage import keys
from core.storage.client import Store
from core.storage.sealing import SealedError

BATCH = 64
"""Passages in one field."""
STAGED_SECONDS = 86_400
FLOAT = 4
"""Bytes of a number of a vector."""
GONE_SECONDS = 600
"""How long a document that was removed stays for those who are just reading it, backups among them."""


@dataclass(frozen=True, slots=True)
class Content:
    """A document as it is kept."""

    passages: Sequence[Passage]
    vectors: bytes = b""
    """Little-endian float32, one row for each passage; empty without a model."""


class Contents:
    """All documents' passages. Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def staged(self, scope: str, id: str) -> Mapping[str, str]:
        """Which batches of a document are there: ``p0`` for passages, and ``m0`` with the model of their vectors."""
        key, redis = keys.document(scope, id), self._store.redis
        names: list[str] = await self._store.attempt(lambda: redis.hkeys(key))
        models = [name for name in names if name.startswith("m")]
        made: list[str | None] = await self._store.attempt(lambda: redis.hmget(key, models)) if models else []
        return dict.fromkeys(names, "") | {name: model or "" for name, model in zip(models, made, strict=True)}

    async def stage(
        self,
        scope: str,
        id: str,
        batch: int,
        passages: Sequence[Passage],
        vectors: Sequence[bytes],
        model: str,
        *,
        is_kept: bool = False,
    ) -> None:
        """Writes one batch. ``vectors`` are float32 as :class:`Content` has them, and are kept in half of that.
        ``is_kept``: the scope's record names the document already, so it stays, whatever becomes of this."""
        fields = {f"p{batch}": self._sealed(scope, _listed(passages))}
        if vectors:
            fields |= self._vectors(scope, batch, vectors, model)
        await self._put(scope, id, fields, 0 if is_kept else STAGED_SECONDS)

    async def stage_vectors(self, scope: str, id: str, batch: int, vectors: Sequence[bytes], model: str) -> None:
        """Writes the vectors of a batch that is kept already, by another model."""
        await self._put(scope, id, self._vectors(scope, batch, vectors, model))

    async def _put(self, scope: str, id: str, fields: Mapping[str, str], seconds: int = 0) -> None:
        key, redis = keys.document(scope, id), self._store.redis

        async def work() -> None:
            pipe = redis.pipeline(transaction=True)
            pipe.hset(key, mapping=fields)
            if seconds:
                pipe.expire(key, seconds)
            await pipe.execute()

        await self._store.attempt(work)

    async def keep(self, scope: str, id: str) -> None:
        """The scope's record names it now."""
        key, redis = keys.document(scope, id), self._store.redis
        await self._store.attempt(lambda: redis.persist(key))

    async def remove(self, scope: str, ids: Sequence[str], *, now: bool = False) -> None:
        """No record names them any more. ``now``: nobody may read them for another moment."""
        redis = self._store.redis
        for id in ids:
            key = keys.document(scope, id)
            await self._store.attempt(lambda key=key: redis.unlink(key) if now else redis.expire(key, GONE_SECONDS))

    async def load(self, scope: str, id: str, count: int, model: str) -> Content:
        """A document of ``count`` passages, with its vectors if ``model`` made all of them, each as long as the others.
        Raises UnreadableError for one that is not there, or cannot be opened."""
        key, redis = keys.document(scope, id), self._store.redis

        async def work() -> dict[str, str]:
            pipe = redis.pipeline(transaction=False)
            # Who wrote the record may have died before they said so here.
            pipe.persist(key)
            pipe.hgetall(key)
            return (await pipe.execute())[-1]

        fields = await self._store.attempt(work)
        passages: list[Passage] = []
        vectors: list[bytes] = []
        batches = range(-(-count // BATCH))
        # Whoever made vectors by another model may have died between two batches.
        has_vectors = model != "" and all(fields.get(f"m{batch}") == model for batch in batches)
        try:
            for batch in batches:
                passages += _unlisted(self._store.texts.open(fields[f"p{batch}"], scope), id, len(passages))
                if has_vectors:
                    vectors.append(_unpacked(self._store.texts.open(fields[f"v{batch}"], scope)))
        except (KeyError, ValueError, TypeError, SealedError) as error:
            raise UnreadableError(f"document {id} of {scope}: {type(error).__name__}: {error}") from error
        if len(passages) != count:
            raise UnreadableError(f"document {id} of {scope}: {len(passages)} passages instead of {count}")
        # A model's settings may have changed in between, and with them the length of its vectors.
        widths = {len(some) / min(BATCH, count - batch * BATCH) for batch, some in enumerate(vectors)}
        is_even = len(widths) == 1 and widths.pop() % FLOAT == 0
        return Content(passages, b"".join(vectors) if is_even else b"")

    def _vectors(self, scope: str, batch: int, vectors: Sequence[bytes], model: str) -> dict[str, str]:
        return {f"v{batch}": self._sealed(scope, _packed(vectors)), f"m{batch}": model}

    def _sealed(self, scope: str, text: str) -> str:
        return self._store.texts.seal(text, scope)


def _listed(passages: Sequence[Passage]) -> str:
    return json.dumps([[p.text, p.page, p.heading, p.link] for p in passages], ensure_ascii=False)


def _unlisted(text: str, document: str, first: int) -> list[Passage]:
    return [
        Passage(document, first + number, said, int(page), heading, link)
        for number, (said, page, heading, link) in enumerate(json.loads(text))
    ]


def _packed(vectors: Sequence[bytes]) -> str:
    """In half precision: a thousandth of a number is lost, and nothing of the order of what is found."""
    import numpy as np

    rows = np.frombuffer(b"".join(vectors), dtype="<f4").astype("<f2")
    return base64.b64encode(rows.tobytes()).decode("ascii")


def _unpacked(text: str) -> bytes:
    import numpy as np

    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype("<f4").tobytes()
