// Writes the flows for Node-RED: `node flows.ts FILE`. A pure step is a function node, a call an `http request` node that
// keeps its connection. Three lookups side by side are joined by a `join` node.
import { writeFileSync } from "node:fs";

const world = process.env.WORLD;
const nodes: object[] = [];

type Step = { type: string; [key: string]: unknown };

const code = (func: string): Step => ({ type: "function", func, outputs: 1, libs: [], initialize: "", finalize: "" });

/** Keeps the alert beside the message, for `http request` puts the answer into the payload. */
const keep = code("msg.alert = msg.payload; return msg;");

const request = (): Step => ({
  type: "http request", method: "POST", ret: "obj", paytoqs: "ignore", url: "", persist: true,
  insecureHTTPParser: false, authType: "", senderr: true, headers: [],
});

/** Two nodes: what to send, and the call. */
const call = (path: string, body: string, before = ""): Step[] => [
  code(`${before}msg.payload = ${body}; msg.url = "${world}${path}?run=" + msg.alert.id;
msg.headers = { "content-type": "application/json" }; return msg;`),
  request(),
];

const isSerious: Step = {
  type: "switch", property: "payload.rule.level", propertyType: "msg",
  rules: [{ t: "gte", v: "10", vt: "num" }], checkall: "true", repair: false, outputs: 1,
};

function chain(name: string, steps: Step[], last: string[] = [], entry = ""): string {
  const id = (index: number) => `${name}${entry}${index}`;
  steps.forEach((step, index) => {
    const wires = index + 1 < steps.length ? [id(index + 1)] : last;
    nodes.push({ id: id(index), z: name, name: "", x: 100, y: 100, wires: [wires], ...step });
  });
  return id(0);
}

function flow(name: string, steps: Step[]) {
  nodes.push({ id: name, type: "tab", label: name });
  const input: Step = { type: "http in", url: `/${name}`, method: "post", upload: false };
  const output: Step = { type: "http response", statusCode: "", headers: {} };
  chain(name, [input, ...steps, code("msg.headers = {}; return msg;"), output]);
}

const text = code('msg.payload = { text: "rule " + msg.payload.rule.id + " on " + msg.payload.agent.name }; return msg;');
const six = <T>(make: (step: number) => T): T[] => [1, 2, 3, 4, 5, 6].map(make);

flow("a", [text]);
flow("b", [isSerious, text]);
flow("pure", [
  isSerious,
  code("msg.payload = { n: msg.payload.rule.level }; return msg;"),
  ...six(() => code("msg.payload = { n: msg.payload.n + 1 }; return msg;")),
]);
flow("http", [keep, code("msg.payload = { n: 0 }; return msg;"), ...six(() => call("/echo", "{ n: msg.payload.n + 1 }")).flat()]);

function loop(name: string, answersFirst: boolean) {
  nodes.push({ id: name, type: "tab", label: name });
  const output: Step = { type: "http response", statusCode: answersFirst ? "202" : "", headers: {} };
  const answer = chain(name, [code("msg.headers = {}; return msg;"), output], [], "answer");
  const block = 'if (found.ip.malicious < 5 && found.hash.malicious < 5) return null; ';
  const title = '`${msg.alert.data.srcip} attacks ${msg.agent.name} as ${found.user.name}`';
  const after = chain(name, [
    // It waits for the three parts that have one id: those of one run.
    { type: "join", mode: "auto", reduceRight: false },
    ...call("/case", `{ title: ${title}, severity: 3 }`, `const found = msg.payload; ${block}`),
    ...call("/block", "{ agent: msg.agent.id, ip: msg.alert.data.srcip }", "msg.case = msg.payload; "),
    ...call("/update", "{ case: msg.case.id, taken: msg.payload.taken }"),
  ], answersFirst ? [] : [answer], "after");
  const lookup = (kind: string, body: string) => chain(name, [
    ...call(`/${kind}`, body, `msg.lookup = "${kind}"; `),
    code("msg.parts = { id: msg.alert.id, count: 3, key: msg.lookup, type: 'object' }; return msg;"),
  ], [after], kind);
  const lookups = [
    lookup("ip", "{ ip: msg.alert.data.srcip }"),
    lookup("hash", "{ hash: msg.alert.data.hash }"),
    lookup("user", "{ user: msg.alert.data.dstuser }"),
  ];
  const first = chain(name, [
    keep,
    ...call("/token", '{ user: "soc" }'),
    ...call("/agent", "{ token: msg.payload.token, id: msg.alert.agent.id }"),
    code("msg.agent = msg.payload; return msg;"),
  ], lookups, "first");
  const input: Step = { type: "http in", url: `/${name}`, method: "post", upload: false };
  chain(name, [input], answersFirst ? [first, answer] : [first], "in");
}

loop("c", false);
loop("c_now", true);

writeFileSync(process.argv[2], JSON.stringify(nodes));
