// Writes the workflows for n8n, one file each: `node workflows.ts FOLDER`. A pure step is an Edit Fields node with one
// expression, a call an HTTP Request node. Executions are saved as n8n saves them where nobody says otherwise: the row before
// the run, its data after it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const world = process.env.WORLD;

type Node = { name: string; type: string; typeVersion: number; parameters: object; webhookId?: string };

const alert = "$('alert').first().json.body";

const webhook = (path: string, responseMode: string): Node => ({
  name: "alert", type: "webhook", typeVersion: 2.1, webhookId: `compare-${path}`,
  parameters: { httpMethod: "POST", path, responseMode, options: {} },
});

const condition = (left: string, right: number): Node => ({
  name: "if", type: "if", typeVersion: 2.2,
  parameters: {
    conditions: {
      options: { caseSensitive: true, leftValue: "", typeValidation: "strict", version: 2 },
      conditions: [{ id: "1", leftValue: `={{ ${left} }}`, rightValue: right, operator: { type: "number", operation: "gte" } }],
      combinator: "and",
    },
    options: {},
  },
});

const set = (name: string, field: string, type: string, expression: string): Node => ({
  name, type: "set", typeVersion: 3.4,
  parameters: { assignments: { assignments: [{ id: "1", name: field, type, value: `=${expression}` }] }, options: {} },
});

const call = (name: string, path: string, body: string): Node => ({
  name, type: "httpRequest", typeVersion: 4.2,
  parameters: {
    method: "POST", url: `=${world}${path}?run={{ ${alert}.id }}`,
    sendBody: true, specifyBody: "json", jsonBody: `={{ ${body} }}`, options: {},
  },
});

const merge: Node = {
  name: "merge", type: "merge", typeVersion: 3.2,
  parameters: { mode: "combine", combineBy: "combineByPosition", numberInputs: 3, options: {} },
};

type Way = [from: string, to: string, input?: number];

function write(name: string, nodes: Node[], ways: Way[]) {
  const connections: Record<string, { main: object[][] }> = {};
  for (const [from, to, input] of ways) {
    connections[from] ??= { main: [[]] };
    connections[from].main[0].push({ node: to, type: "main", index: input ?? 0 });
  }
  const whole = nodes.map((node, index) => ({
    ...node, id: `${name}-${node.name}`, type: `n8n-nodes-base.${node.type}`, position: [200 * index, 0],
  }));
  const workflow = { id: `compare-${name}`, name, nodes: whole, connections, settings: { executionOrder: "v1" }, active: false };
  writeFileSync(join(process.argv[2], `${name}.json`), JSON.stringify(workflow));
}

const chain = (nodes: Node[]): Way[] => nodes.slice(1).map((node, index) => [nodes[index].name, node.name]);

function line(name: string, ...steps: Node[]) {
  const nodes = [webhook(name, "lastNode"), ...steps];
  write(name, nodes, chain(nodes));
}

const numbers = [1, 2, 3, 4, 5, 6];
const isSerious = condition("$json.body.rule.level", 10);
const text = set("text", "text", "string", `rule {{ ${alert}.rule.id }} on {{ ${alert}.agent.name }}`);

mkdirSync(process.argv[2], { recursive: true });
line("a", text);
line("b", isSerious, text);
line("pure", isSerious, ...numbers.map((step) =>
  set(`step${step}`, "n", "number", step === 1 ? `{{ ${alert}.rule.level + 1 }}` : "{{ $json.n + 1 }}")));
line("http", ...numbers.map((step) => call(`step${step}`, "/echo", step === 1 ? "{ n: 1 }" : "{ n: $json.n + 1 }")));

/** The three lookups follow the same node; n8n runs them one after the other. */
function loop(name: string, responseMode: string) {
  const before = [
    webhook(name, responseMode),
    call("token", "/token", '{ user: "soc" }'),
    call("agent", "/agent", `{ token: $json.token, id: ${alert}.agent.id }`),
  ];
  const lookups = [
    call("ip", "/ip", `{ ip: ${alert}.data.srcip }`),
    call("hash", "/hash", `{ hash: ${alert}.data.hash }`),
    call("user", "/user", `{ user: ${alert}.data.dstuser }`),
  ];
  const title = `${alert}.data.srcip + " attacks " + $('agent').first().json.name + " as " + $('user').first().json.name`;
  const after = [
    merge,
    condition("$('ip').first().json.malicious", 5),
    call("case", "/case", `{ title: ${title}, severity: 3 }`),
    call("block", "/block", `{ agent: $('agent').first().json.id, ip: ${alert}.data.srcip }`),
    call("update", "/update", "{ case: $('case').first().json.id, taken: $json.taken }"),
  ];
  const beside = lookups.flatMap((node, index): Way[] => [["agent", node.name], [node.name, "merge", index]]);
  write(name, [...before, ...lookups, ...after], [...chain(before), ...beside, ...chain(after)]);
}

loop("c", "lastNode");
loop("c_now", "onReceived");

const parked: Node[] = [
  webhook("approval", "responseNode"),
  {
    name: "answer", type: "respondToWebhook", typeVersion: 1.4,
    parameters: { respondWith: "json", responseBody: "={{ { resume: $execution.resumeUrl } }}", options: {} },
  },
  { name: "wait", type: "wait", typeVersion: 1.1, webhookId: "compare-wait", parameters: { resume: "webhook", httpMethod: "POST", options: {} } },
  call("update", "/update", '{ status: "approved" }'),
];
write("approval", parked, chain(parked));
