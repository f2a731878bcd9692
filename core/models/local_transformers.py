"""Child process: ``transformers serve`` for one hub model, folder or GGUF file, with continuous batching.

Run as ``python -m core.models.local_transformers`` by the interpreter of the environment that has the
extra ``[local]``. It adds what that server lacks: a key, and a chat form for models that come without one.
"""

from __future__ import annotations

import hmac
import importlib
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from core.models import local_child

PLAIN_CHAT = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}\n{% endfor %}Assistant:"
)
"""For models that were never taught a chat form, like GPT-2."""

BLOCK = 32
"""Tokens in one block of the cache."""

Asgi = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


def main() -> None:
    order = local_child.begin()
    # Without it /v1/models answers 500; set before the first import of the library, which reads it once.
    Path(os.environ["HF_HUB_CACHE"]).mkdir(parents=True, exist_ok=True)
    port = order["port"] or _free_port(order["host"])
    local_child.answer({"address": local_child.address(order["host"], port), "window": window(order["model"])})
    serve(order, port)


def window(model: str) -> int | None:
    """The model's own context window in tokens; None where finding out would cost as much as loading."""
    if model.endswith(".gguf"):
        return None
    config: Any = _library("transformers").AutoConfig.from_pretrained(model)
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def serve(order: dict[str, Any], port: int) -> None:
    """Loads the model, then serves until the process ends."""
    command = _library("transformers.cli.serve")
    manager = _library("transformers.cli.serving.model_manager").ModelManager
    uvicorn = _library("uvicorn")
    load, config = manager._load_processor, uvicorn.Config

    def load_with_chat_form(*given: Any, **named: Any) -> Any:
        processor = load(*given, **named)
        if not getattr(processor, "chat_template", None):
            processor.chat_template = PLAIN_CHAT
        return processor

    if order["model"].endswith(".gguf"):
        _complete_gguf_configs()

    def guarded(app: Asgi, **named: Any) -> Any:
        return config(with_key(app, order["api_key"]), **{**named, "log_level": "warning"})

    manager._load_processor = load_with_chat_form
    uvicorn.Config = guarded
    command.Serve(
        force_model=order["model"],
        continuous_batching=True,
        reasoning="off",
        host=order["host"],
        port=port,
        enable_cors=False,
        log_level="error",
        **_memory(order["window"] * order["slots"]),
    )


def _complete_gguf_configs() -> None:
    """A configuration read out of a GGUF file names no architecture, which transformers 5.23's server needs."""
    auto = _library("transformers").AutoConfig
    names = _library("transformers.models.auto.modeling_auto").MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    read = auto.from_pretrained

    def read_completely(*given: Any, **named: Any) -> Any:
        config = read(*given, **named)
        # With return_unused_kwargs it is a pair.
        found = config if hasattr(config, "architectures") else config[0]
        found.architectures = found.architectures or [names[found.model_type]]
        return config

    auto.from_pretrained = staticmethod(read_completely)


def _memory(tokens: int) -> dict[str, int]:
    """On a processor the cache must be sized for what is served; on a GPU the library fits it to the card."""
    if _library("torch").cuda.is_available():
        return {}
    return {"cb_block_size": BLOCK, "cb_num_blocks": -(-tokens // BLOCK), "cb_max_batch_tokens": 512}


def _library(name: str) -> Any:
    """A module of the other environment, which type checkers of this one cannot see."""
    return importlib.import_module(name)


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def with_key(app: Asgi, key: str) -> Asgi:
    """The app for callers with the key. It also tells how many answers are under way, in llama.cpp's words."""
    expected = f"Bearer {key}".encode()
    under_way = 0

    async def guard(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        nonlocal under_way
        headers: dict[bytes, bytes] = dict(scope.get("headers") or ())
        allowed = hmac.compare_digest(headers.get(b"authorization", b""), expected)
        if scope["type"] == "lifespan" or scope.get("path") == "/health":
            await app(scope, receive, send)
        elif not allowed:
            await _answer(send, 401)
        elif scope.get("path") == "/metrics":
            await _answer(send, 200, f"llamacpp:requests_processing {under_way}\n".encode())
        else:
            under_way += 1
            try:
                await app(scope, receive, send)
            finally:
                under_way -= 1

    return guard


async def _answer(send: Any, status: int, body: bytes = b"") -> None:
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    main()
