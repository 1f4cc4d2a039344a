// The workloads on Restate. What Portcullis calls a step is `ctx.run` here: its result is in the journal, and the journal
// on disk, before the handler goes on.
import { createServer } from "node:http2";
import * as restate from "@restatedev/restate-sdk";
import { post, type Alert } from "./world.ts";

const call = (ctx: restate.Context, name: string, alert: Alert, body: object) =>
  ctx.run(name, () => post(`/${name}`, alert.id, body));

const alerts = restate.service({
  name: "alerts",
  handlers: {
    a: async (ctx: restate.Context, alert: Alert) => {
      const text = await ctx.run("text", () => `rule ${alert.rule.id} on ${alert.agent.name}`);
      return { text };
    },

    b: async (ctx: restate.Context, alert: Alert) => {
      if (alert.rule.level < 10) return {};
      const text = await ctx.run("text", () => `rule ${alert.rule.id} on ${alert.agent.name}`);
      return { text };
    },

    pure: async (ctx: restate.Context, alert: Alert) => {
      if (alert.rule.level < 10) return {};
      let n = alert.rule.level;
      for (let step = 1; step <= 6; step++) n = await ctx.run(`step${step}`, () => n + 1);
      return { n };
    },

    http: async (ctx: restate.Context, alert: Alert) => {
      let n = 0;
      for (let step = 1; step <= 6; step++) {
        const answer = await ctx.run(`step${step}`, () => post("/echo", alert.id, { n: n + 1 }));
        n = answer.n;
      }
      return { n };
    },

    c: async (ctx: restate.Context, alert: Alert) => {
      const token = await call(ctx, "token", alert, { user: "soc" });
      const agent = await call(ctx, "agent", alert, { token: token.token, id: alert.agent.id });
      const [ip, hash, user] = await restate.RestatePromise.all([
        call(ctx, "ip", alert, { ip: alert.data.srcip }),
        call(ctx, "hash", alert, { hash: alert.data.hash }),
        call(ctx, "user", alert, { user: alert.data.dstuser }),
      ]);
      if (ip.malicious < 5 && hash.malicious < 5) return {};
      const title = `${alert.data.srcip} attacks ${agent.name} as ${user.name}`;
      const found = await call(ctx, "case", alert, { title, severity: 3 });
      const block = await call(ctx, "block", alert, { agent: agent.id, ip: alert.data.srcip });
      const update = await call(ctx, "update", alert, { case: found.id, taken: block.taken });
      return { status: update.status };
    },
  },
});

const approval = restate.workflow({
  name: "approval",
  handlers: {
    run: async (ctx: restate.WorkflowContext, alert: Alert) => {
      await ctx.promise<boolean>("approved");
      return await ctx.run("update", () => post("/update", alert.id, { status: "approved" }));
    },
    approve: async (ctx: restate.WorkflowSharedContext) => ctx.promise<boolean>("approved").resolve(true),
  },
});

// `restate.serve` does the same, but listens on every interface.
const handler = restate.createEndpointHandler({ services: [alerts, approval] });
createServer(handler).listen(Number(process.env.PORT), "127.0.0.1");
