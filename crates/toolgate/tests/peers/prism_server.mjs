// Serves each description whose path is an argument, with Stoplight's Prism, which refuses requests that do not fit it.
// Prints one line of JSON: the port of each, or null where Prism cannot read it.
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/package.json`);
const { createLogger } = require("@stoplight/prism-core");
const { getHttpOperationsFromSpec } = require("@stoplight/prism-http");
const { createServer } = require("@stoplight/prism-http-server");

// Prism's reader of paths splits a value at its commas, and then breaks down when it splits it again.
const { URI } = require("uri-template-lite");
const { Template } = URI;
URI.Template = function (template) {
  Template.call(this, template);
  const { match } = this;
  const whole = (value) => (Array.isArray(value) ? value.join(",") : value);
  this.match = (path) => {
    const found = match(path);
    return found && Object.fromEntries(Object.entries(found).map(([name, value]) => [name, whole(value)]));
  };
};

// What Prism cannot read of a query it says by breaking down; such a parameter is taken for absent.
const { query } = require("@stoplight/prism-http/dist/validator/deserializers");
for (const [style, read] of Object.entries(query)) {
  query[style] = (...parameter) => {
    try {
      return read(...parameter);
    } catch {
      return undefined;
    }
  };
}

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
