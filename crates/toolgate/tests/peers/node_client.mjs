// The TypeScript SDK as a test peer, releases 1.x and 2.x alike. Takes and prints the same JSON as python_client.py.

const task = JSON.parse(process.argv[2]);

// Release 2 is one package, and knows revision 2026-07-28.
const sdk = task.sdk === 2 ? await two() : await one();
const { Client, SSEClientTransport, StdioClientTransport, StreamableHTTPClientTransport, RefusedError } = sdk;

async function one() {
  const { McpError } = await import("@modelcontextprotocol/sdk/types.js");
  const parts = ["index", "sse", "stdio", "streamableHttp"];
  const modules = await Promise.all(parts.map((part) => import(`@modelcontextprotocol/sdk/client/${part}.js`)));
  return Object.assign({ RefusedError: McpError }, ...modules);
}

async function two() {
  const client = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  return { ...client, StdioClientTransport, RefusedError: client.ProtocolError };
}

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
    if (error instanceof RefusedError) return { error: { code: error.code, message: error.message } };
    throw error;
  }
}

const options = { versionNegotiation: { mode: task.mode } };
const client = new Client({ name: "toolgate-tests", version: "1" }, options);
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
