// Loaded into a server before its own code (`node --import`): it listens on loopback only, and says on which port, so
// that a test can let the system choose one with PORT=0.

import net from "node:net";

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (port, ...rest) {
  this.once("listening", () => process.stderr.write(`listening on port ${this.address().port}\n`));
  return listen.call(this, Number(port), "127.0.0.1", ...rest);
};
