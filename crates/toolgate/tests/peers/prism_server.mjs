// Serves each description whose path is an argument, with Stoplight's Prism, which refuses requests that do not fit it.
// Prints one line of JSON: the port of each, or null where Prism cannot read it.
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/package.json`);
const { createLogger } = require("@stoplight/prism-core");
const { getHttpOperationsFromSpec } = require("@stoplight/prism-http");
const { createServer } = require("@stoplight/prism-http-server");

const config = {
  mock: { dynamic: false },
  isProxy: false,
  checkSecurity: true,
  validateRequest: true,
  validateResponse: false,
  errors: false,
};
const logger = createLogger("prism", { enabled: false });

const serve = async (path) => {
  try {
    const operations = await getHttpOperationsFromSpec(path);
    const server = createServer(operations, { components: { logger }, config, cors: false });
    return Number(new URL(await server.listen(0, "127.0.0.1")).port);
  } catch (error) {
    console.error(`${path}: ${error.message}`);
    return null;
  }
};

const ports = {};
for (const path of process.argv.slice(2)) ports[path] = await serve(path);
console.log(JSON.stringify(ports));
