// The TypeScript SDK of revision 2026-07-28 as a test peer: it finds out what the server speaks, lists, calls a tool whose
// server asks for a name, and listens. Takes a JSON task (`url`, `headers`, `tool`) and prints a JSON account.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const task = JSON.parse(process.argv[2]);
const client = new Client(
  { name: "toolgate-tests", version: "1" },
  { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: "auto" } },
);
client.setRequestHandler("elicitation/create", async () => ({ action: "accept", content: { name: "Alice" } }));
await client.connect(new StreamableHTTPClientTransport(new URL(task.url), { requestInit: { headers: task.headers } }));
const { tools } = await client.listTools();
const result = await client.callTool({ name: task.tool, arguments: {} });
const subscription = await client.listen({ toolsListChanged: true });
await subscription.close();
console.log(
  JSON.stringify({
    version: client.getNegotiatedProtocolVersion(),
    tools: tools.map((tool) => tool.name),
    content: result.content,
    honored: subscription.honoredFilter,
    ended: await subscription.closed,
  }),
);
await client.close();
