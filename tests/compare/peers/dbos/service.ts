// The workloads on DBOS. What Portcullis calls a step is `DBOS.runStep` here: its result is a row in PostgreSQL before the
// workflow goes on. The HTTP server is Node's own, which costs the least.
import { createServer, type IncomingMessage } from "node:http";
import { DBOS } from "@dbos-inc/dbos-sdk";
import pg from "pg";
import { post, type Alert } from "./world.ts";

const call = (name: string, alert: Alert, body: object) =>
  DBOS.runStep(() => post(`/${name}`, alert.id, body), { name });

const pure = <T>(name: string, work: () => T) => DBOS.runStep(async () => work(), { name });

async function a(alert: Alert) {
  return { text: await pure("text", () => `rule ${alert.rule.id} on ${alert.agent.name}`) };
}

async function b(alert: Alert) {
  if (alert.rule.level < 10) return {};
  return { text: await pure("text", () => `rule ${alert.rule.id} on ${alert.agent.name}`) };
}

async function six(alert: Alert) {
  if (alert.rule.level < 10) return {};
  let n = alert.rule.level;
  for (let step = 1; step <= 6; step++) n = await pure(`step${step}`, () => n + 1);
  return { n };
}

async function http(alert: Alert) {
  let n = 0;
  for (let step = 1; step <= 6; step++) {
    const answer = await DBOS.runStep(() => post("/echo", alert.id, { n: n + 1 }), { name: `step${step}` });
    n = answer.n;
  }
  return { n };
}

async function c(alert: Alert) {
  const token = await call("token", alert, { user: "soc" });
  const agent = await call("agent", alert, { token: token.token, id: alert.agent.id });
  const [ip, hash, user] = await Promise.all([
    call("ip", alert, { ip: alert.data.srcip }),
    call("hash", alert, { hash: alert.data.hash }),
    call("user", alert, { user: alert.data.dstuser }),
  ]);
  if (ip.malicious < 5 && hash.malicious < 5) return {};
  const title = `${alert.data.srcip} attacks ${agent.name} as ${user.name}`;
  const found = await call("case", alert, { title, severity: 3 });
  const block = await call("block", alert, { agent: agent.id, ip: alert.data.srcip });
  const update = await call("update", alert, { case: found.id, taken: block.taken });
  return { status: update.status };
}

async function approval(alert: Alert) {
  await DBOS.recv("approved", 3600);
  return await call("update", alert, { status: "approved" });
}

const register = <T>(name: string, work: (alert: Alert) => Promise<T>) => DBOS.registerWorkflow(work, { name });
const workflows: Record<string, (alert: Alert) => Promise<object>> = {
  a: register("a", a),
  b: register("b", b),
  pure: register("pure", six),
  http: register("http", http),
  c: register("c", c),
};
const parked = register("approval", approval);

DBOS.setConfig({
  name: "compare",
  systemDatabaseUrl: process.env.DATABASE,
  applicationVersion: "1",
  executorID: "local",
  logLevel: "error",
});
await DBOS.launch();
const database = new pg.Pool({ connectionString: process.env.DATABASE, max: 1 });

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

async function answer(path: string, body: string): Promise<[number, object]> {
  const [, kind, name] = path.split("/");
  if (kind === "run") {
    const workflow = workflows[name];
    return [200, await workflow(JSON.parse(body))];
  }
  if (kind === "start") {
    // Its row is in the database when the handle is there.
    const alert = JSON.parse(body);
    const workflow = name === "approval" ? parked : workflows[name];
    await DBOS.startWorkflow(workflow, { workflowID: `${name}-${alert.id}` })(alert);
    return [202, {}];
  }
  if (kind === "approve") {
    await DBOS.send(`approval-${name}`, true, "approved");
    return [200, {}];
  }
  if (kind === "completed") {
    const counted = await database.query("SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'");
    return [200, { completed: Number(counted.rows[0].count) }];
  }
  return [404, {}];
}

createServer(async (request, response) => {
  let [status, body]: [number, object] = [500, {}];
  try {
    [status, body] = await answer(request.url ?? "/", await read(request));
  } catch (error) {
    console.error(error);
  }
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}).listen(Number(process.env.PORT), "127.0.0.1");
