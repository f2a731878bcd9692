"""Child process: llama.cpp's server for one GGUF file. Run as ``python -m core.models.local_xllamacpp``."""

from __future__ import annotations

import threading
from typing import Any

from core.models import local_child

CACHE_MIB = 256
"""Memory for the prompts of conversations that have no slot just now; the library's default is 8 GiB."""


def main() -> None:
    order = local_child.begin()
    server = serve(order)
    port = server.listening_address.rpartition(":")[2]
    local_child.answer({"address": local_child.address(order["host"], port)})
    threading.Event().wait()


def serve(order: dict[str, Any]) -> Any:
    """A running server; it listens when this returns. Only its health is told to who has no key."""
    import xllamacpp

    library: Any = xllamacpp
    params = library.CommonParams()
    params.model.path = order["model"]
    params.model_alias = {order["name"]}
    params.hostnames = [order["host"]]
    params.port = order["port"]
    params.api_keys = [order["api_key"]]
    params.n_parallel = order["slots"]
    params.n_ctx = order["window"] * order["slots"]
    # A thread is held by every answer under way and every one that waits; health checks need one too.
    params.n_threads_http = order["slots"] * 2 + 8
    params.cache_ram_mib = CACHE_MIB
    # Small thinking models think for a minute before the first word.
    params.enable_reasoning = 0
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_metrics = True
    params.verbosity = 0
    return library.Server(params)


if __name__ == "__main__":
    main()
