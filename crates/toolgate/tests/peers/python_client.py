"""The Python SDK as a test peer, releases 1.x and 2.x alike.

Takes one argument, a JSON object: `target` (transport streamable, sse or stdio, and how to reach it), `mode` (`legacy`,
or `auto` to probe for revision 2026-07-28 first; only 2.x knows it), `steps` (what to ask, in order).
Prints one JSON object: `initialize`, and in `steps` a `result` or an `error` for each step.
"""

import json
import sys
from contextlib import AsyncExitStack

import anyio
import mcp.types as types
from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared import _httpx_utils

try:
    from mcp.shared.exceptions import MCPError
except ImportError:
    from mcp.shared.exceptions import McpError as MCPError

SECONDS = 80


def plain(result):
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


async def streams(target, stack):
    if target["transport"] == "stdio":
        server = StdioServerParameters(command=target["command"], args=target["args"], env=target["env"])
        return await stack.enter_async_context(stdio_client(server))
    if target["transport"] == "sse":
        return await stack.enter_async_context(sse_client(target["url"], headers=target["headers"]))
    http = await stack.enter_async_context(_httpx_utils.create_mcp_http_client(headers=target["headers"]))
    opened = await stack.enter_async_context(streamable_http_client(target["url"], http_client=http))
    return opened[:2]


async def greet(session, mode):
    if mode == "auto":
        from mcp.client._probe import negotiate_auto

        await negotiate_auto(session)
        return plain(session.initialize_result) if session.initialize_result else {"modern": True}
    return plain(await session.initialize())


async def every_page(ask, key):
    """All items of a list, with the number of pages they came in left out: only what a user sees counts."""
    items, cursor = [], None
    while True:
        page = plain(await ask(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None))
        items += page[key]
        cursor = page.get("nextCursor")
        if not cursor:
            return {key: items}


async def take(session, step):
    match step["do"]:
        case "list_tools":
            return await every_page(session.list_tools, "tools")
        case "list_prompts":
            return await every_page(session.list_prompts, "prompts")
        case "list_resources":
            return await every_page(session.list_resources, "resources")
        case "list_resource_templates":
            return await every_page(session.list_resource_templates, "resourceTemplates")
        case "call_tool":
            return plain(await session.call_tool(step["name"], step["arguments"]))
        case "get_prompt":
            return plain(await session.get_prompt(step["name"], step["arguments"]))
        case "read_resource":
            return plain(await session.read_resource(step["uri"]))
        case "complete":
            kind = types.PromptReference if step["ref"]["type"] == "ref/prompt" else types.ResourceTemplateReference
            return plain(await session.complete(kind(**step["ref"]), step["argument"]))
        case "ping":
            return plain(await session.send_ping())
    raise ValueError(f"unknown step {step['do']}")


async def attempt(session, step):
    try:
        return {"result": await take(session, step)}
    except MCPError as error:
        return {"error": {"code": error.error.code, "message": error.error.message}}


async def main():
    task = json.loads(sys.argv[1])
    with anyio.fail_after(SECONDS):
        async with AsyncExitStack() as stack:
            read, write = await streams(task["target"], stack)
            session = await stack.enter_async_context(ClientSession(read, write))
            seen = {"initialize": await greet(session, task["mode"])}
            seen["steps"] = [await attempt(session, step) for step in task["steps"]]
    print(json.dumps(seen))


anyio.run(main)
