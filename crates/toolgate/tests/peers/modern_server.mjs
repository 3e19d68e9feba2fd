// A server of the TypeScript SDK 2.x as a test peer. Its argument is the era that it speaks: `modern`, `legacy` (in
// sessions) or `both`. Says on standard error where it listens.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { NodeStreamableHTTPServerTransport, toNodeHandler } from "@modelcontextprotocol/node";
import { completable, createMcpHandler, McpServer, ResourceTemplate } from "@modelcontextprotocol/server";
import { z } from "zod";

const era = process.argv.at(-1);

function server() {
  const server = new McpServer({ name: "typescript-peer", version: "1" }, { instructions: "Use it for tests." });
  server.registerTool(
    "add",
    {
      title: "Add",
      description: "Adds two numbers",
      inputSchema: z.object({ a: z.number(), b: z.number() }),
      outputSchema: z.object({ sum: z.number() }),
      annotations: { readOnlyHint: true },
    },
    async ({ a, b }) => ({ content: [{ type: "text", text: String(a + b) }], structuredContent: { sum: a + b } }),
  );
  server.registerTool("greet", { inputSchema: z.object({ name: z.string() }) }, async ({ name }) => ({
    content: [
      { type: "text", text: `Hello, ${name}`, annotations: { audience: ["user"], priority: 0.5 } },
      { type: "resource_link", uri: "note://a", name: "a" },
      { type: "image", data: "AAECAw==", mimeType: "image/png" },
    ],
    _meta: { "example.org/peer": 1.5 },
  }));
  server.registerTool("fail", {}, async () => ({ content: [{ type: "text", text: "it failed" }], isError: true }));
  server.registerPrompt(
    "review",
    { argsSchema: z.object({ language: completable(z.string(), (value) => ["go", "rust"].filter((one) => one.startsWith(value))) }) },
    ({ language }) => ({ messages: [{ role: "user", content: { type: "text", text: `Review this ${language}` } }] }),
  );
  server.registerResource("a", "note://a", { mimeType: "text/plain" }, async (uri) => ({
    contents: [{ uri: uri.href, text: "a note, grüß Gott" }],
  }));
  server.registerResource("note", new ResourceTemplate("note://{name}/text", {}), {}, async (uri, { name }) => ({
    contents: [{ uri: uri.href, text: `the note ${name}` }],
  }));
  return server;
}

const sessions = new Map();

async function inSessions(request, response) {
  const known = sessions.get(request.headers["mcp-session-id"]);
  if (known) return known.handleRequest(request, response);
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  await server().connect(transport);
  return transport.handleRequest(request, response);
}

const handler = toNodeHandler(createMcpHandler(server, { legacy: era === "both" ? "stateless" : "reject" }));
const http = createServer(era === "legacy" ? inSessions : handler);
http.listen(0, "127.0.0.1", () => console.error(`listening on port ${http.address().port}`));
