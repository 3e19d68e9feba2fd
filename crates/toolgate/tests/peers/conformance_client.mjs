// The client that the conformance suite starts: it hands the suite's server on to the test that waits at the address in
// its first argument, and ends when that test has done with the server what the scenario wants.

const [waiting, server] = process.argv.slice(2);
const task = { server, context: JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "null") };
const answer = await fetch(waiting, { method: "POST", body: JSON.stringify(task) });
console.log(await answer.text());
process.exitCode = answer.ok ? 0 : 1;
