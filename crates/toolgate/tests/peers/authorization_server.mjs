// A certified authorization server, with one client that may sign in for itself and one that may look at tokens.
// Prints one line of JSON: its issuer. Its issuer has a path, so that its metadata are where RFC 8414 puts them.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.cwd()}/package.json`);
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}/tenant`;

const seconds = Number(process.argv[2] ?? 3600);
const machine = (id, method) => ({
  client_id: id,
  client_secret: "s&cret:of the gateway",
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  scope: "read write",
  token_endpoint_auth_method: method,
  introspection_endpoint_auth_method: method,
  revocation_endpoint_auth_method: method,
});
const provider = new Provider(issuer, {
  clients: [machine("posts", "client_secret_post"), machine("basic", "client_secret_basic")],
  scopes: ["read", "write"],
  ttl: { ClientCredentials: seconds },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
});

const answer = provider.callback();
server.on("request", (request, response) => {
  // RFC 8414, section 3.1: the well-known part comes before the issuer's path.
  const wellKnown = /^\/\.well-known\/(oauth-authorization-server|openid-configuration)\/tenant$/.exec(request.url);
  if (wellKnown) request.url = "/.well-known/openid-configuration";
  else if (request.url.startsWith("/tenant/")) request.url = request.url.slice("/tenant".length);
  else {
    response.writeHead(404).end();
    return;
  }
  request.originalUrl = `/tenant${request.url}`;
  answer(request, response);
});
console.log(JSON.stringify({ issuer }));
