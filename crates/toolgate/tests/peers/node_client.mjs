// The TypeScript SDK as a test peer. Takes and prints the same JSON as python_client.py.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpError } from "@modelcontextprotocol/sdk/types.js";

function transport(target) {
  if (target.transport === "stdio") {
    return new StdioClientTransport({ command: target.command, args: target.args, env: target.env, stderr: "ignore" });
  }
  const url = new URL(target.url);
  const requestInit = { headers: target.headers };
  if (target.transport === "sse") {
    // The stream is opened by an EventSource, which has its own way of setting headers.
    const withHeaders = (address, init) =>
      fetch(address, { ...init, headers: { ...Object.fromEntries(new Headers(init?.headers)), ...target.headers } });
    return new SSEClientTransport(url, { requestInit, eventSourceInit: { fetch: withHeaders } });
  }
  return new StreamableHTTPClientTransport(url, { requestInit });
}

// All items of a list; the number of pages they came in is left out: only what a user sees counts.
async function everyPage(ask, key) {
  const items = [];
  let cursor;
  do {
    const page = await ask(cursor ? { cursor } : undefined);
    items.push(...page[key]);
    cursor = page.nextCursor;
  } while (cursor);
  return { [key]: items };
}

const deeds = {
  list_tools: (client) => everyPage((params) => client.listTools(params), "tools"),
  list_prompts: (client) => everyPage((params) => client.listPrompts(params), "prompts"),
  list_resources: (client) => everyPage((params) => client.listResources(params), "resources"),
  list_resource_templates: (client) => everyPage((params) => client.listResourceTemplates(params), "resourceTemplates"),
  call_tool: (client, step) => client.callTool({ name: step.name, arguments: step.arguments }),
  get_prompt: (client, step) => client.getPrompt({ name: step.name, arguments: step.arguments }),
  read_resource: (client, step) => client.readResource({ uri: step.uri }),
  complete: (client, step) => client.complete({ ref: step.ref, argument: step.argument }),
  ping: (client) => client.ping(),
};

async function attempt(client, step) {
  try {
    return { result: await deeds[step.do](client, step) };
  } catch (error) {
    if (error instanceof McpError) return { error: { code: error.code, message: error.message } };
    throw error;
  }
}

const task = JSON.parse(process.argv[2]);
const client = new Client({ name: "toolgate-tests", version: "1" });
await client.connect(transport(task.target));
const initialize = {
  serverInfo: client.getServerVersion(),
  capabilities: client.getServerCapabilities(),
  instructions: client.getInstructions(),
};
const steps = [];
for (const step of task.steps) steps.push(await attempt(client, step));
await client.close();
console.log(JSON.stringify({ initialize, steps }));
