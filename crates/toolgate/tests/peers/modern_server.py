"""A server of the Python SDK 2.x as a test peer; it speaks revisions of both eras. Says on standard error where it
listens."""

import socket
import sys

import uvicorn
from mcp.server import MCPServer
from mcp.types import Completion, PromptReference
from pydantic import BaseModel

server = MCPServer("python-peer", version="1", instructions="Use it for tests.")


class Sum(BaseModel):
    sum: int


@server.tool(title="Add", description="Adds two numbers")
def add(a: int, b: int) -> Sum:
    return Sum(sum=a + b)


@server.tool()
def greet(name: str) -> str:
    return f"Hello, {name}"


@server.tool()
def fail() -> str:
    raise ValueError("it failed")


@server.prompt()
def review(language: str) -> str:
    return f"Review this {language}"


@server.completion()
async def complete(ref, argument, context):
    languages = [one for one in ("go", "rust") if one.startswith(argument.value)]
    return Completion(values=languages) if isinstance(ref, PromptReference) else None


@server.resource("note://a", mime_type="text/plain")
def note() -> str:
    return "a note, grüß Gott"


@server.resource("note://{name}/text")
def named(name: str) -> str:
    return f"the note {name}"


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(f"listening on port {listener.getsockname()[1]}", file=sys.stderr, flush=True)
uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="error")).run(sockets=[listener])
