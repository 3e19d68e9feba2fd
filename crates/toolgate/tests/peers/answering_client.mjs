// The TypeScript SDK as a client that servers can ask: for input, a completion, its roots. Takes one argument, a JSON
// object with `target` as for node_client.mjs and the `prefix` of the tools' names; prints what it saw.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";

function transport(target) {
  if (target.transport === "stdio") {
    return new StdioClientTransport({ command: target.command, args: target.args, env: target.env, stderr: "ignore" });
  }
  const url = new URL(target.url);
  const requestInit = { headers: target.headers };
  if (target.transport === "sse") {
    const withHeaders = (address, init) =>
      fetch(address, { ...init, headers: { ...Object.fromEntries(new Headers(init?.headers)), ...target.headers } });
    return new SSEClientTransport(url, { requestInit, eventSourceInit: { fetch: withHeaders } });
  }
  return new StreamableHTTPClientTransport(url, { requestInit });
}

const { target, prefix } = JSON.parse(process.argv[2]);
const asked = [];
const client = new Client(
  { name: "toolgate-tests", version: "1" },
  { capabilities: { roots: { listChanged: true }, sampling: {}, elicitation: {} } },
);
client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: "file:///work", name: "work" }] }));
client.setRequestHandler(ElicitRequestSchema, (request) => {
  asked.push(request.params);
  return { action: "accept", content: { name: "Ada", check: true } };
});
client.setRequestHandler(CreateMessageRequestSchema, (request) => {
  asked.push(request.params);
  return { role: "assistant", model: "test", content: { type: "text", text: "a completion" } };
});
await client.connect(transport(target));

const names = (await client.listTools()).tools.map((tool) => tool.name.replace(prefix, "")).sort();
const call = async (name, args, options) =>
  (await client.callTool({ name: `${prefix}${name}`, arguments: args }, undefined, options)).content;
const progress = [];
const results = [
  await call("trigger-elicitation-request", {}),
  await call("trigger-sampling-request", { prompt: "Say something", maxTokens: 10 }),
  await call("get-roots-list", {}),
  await call("trigger-long-running-operation", { duration: 0.4, steps: 4 }, {
    onprogress: (step) => progress.push([step.progress, step.total]),
  }),
];
for (const params of asked) delete params._meta;
await client.close();
console.log(JSON.stringify({ names, asked, results, progress }));
