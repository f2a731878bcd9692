"""A real server of the Model Context Protocol, made with the SDK: run by the tests as a process of its own."""

from __future__ import annotations

import os
import time

from mcp.server.mcpserver import MCPServer

server = MCPServer("shop")


@server.tool()
def price(item: str) -> str:
    """Tells what something costs."""
    if item == "nothing":
        raise ValueError("there is no such thing")
    return f"{item}: 5 euros"


@server.tool()
def environment() -> str:
    """Tells what the process was given."""
    return " ".join(sorted(os.environ))


@server.tool()
def die() -> str:
    """Ends the process."""
    os._exit(1)


if __name__ == "__main__":
    server.run()
    time.sleep(float(os.environ.get("LINGERS", "0")))
