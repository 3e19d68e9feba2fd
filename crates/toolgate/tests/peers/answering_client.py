"""The Python SDK as a client that servers can ask, releases 1.x and 2.x alike. Takes one argument, a JSON object with
`target` as for python_client.py and the `prefix` of the tools' names; prints what it saw.
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


asked, progress = [], []


def note(params):
    seen = plain(params)
    seen.pop("_meta", None)
    asked.append(seen)


async def elicited(context, params):
    note(params)
    return types.ElicitResult(action="accept", content={"name": "Ada", "check": True})


async def sampled(context, params):
    note(params)
    content = types.TextContent(type="text", text="a completion")
    return types.CreateMessageResult(role="assistant", model="test", content=content)


async def roots(context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///work", name="work")])


async def progressed(done, total, message):
    progress.append([done, total])


async def main():
    task = json.loads(sys.argv[1])
    prefix = task["prefix"]
    with anyio.fail_after(SECONDS):
        async with AsyncExitStack() as stack:
            read, write = await streams(task["target"], stack)
            session = ClientSession(
                read, write, elicitation_callback=elicited, sampling_callback=sampled, list_roots_callback=roots
            )
            session = await stack.enter_async_context(session)
            await session.initialize()
            names = sorted(tool.name.removeprefix(prefix) for tool in (await session.list_tools()).tools)

            async def call(name, arguments, **more):
                return plain(await session.call_tool(prefix + name, arguments, **more))["content"]

            results = [
                await call("trigger-elicitation-request", {}),
                await call("trigger-sampling-request", {"prompt": "Say something", "maxTokens": 10}),
                await call("get-roots-list", {}),
                await call(
                    "trigger-long-running-operation", {"duration": 0.4, "steps": 4}, progress_callback=progressed
                ),
            ]
    print(json.dumps({"names": names, "asked": asked, "results": results, "progress": progress}))


anyio.run(main)
