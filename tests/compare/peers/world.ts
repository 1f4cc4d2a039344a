// What the services of several peers share: the alert, and one call of the mock of the outside world.

export type Alert = {
  id: string;
  rule: { id: string; level: number };
  agent: { id: string; name: string };
  data: { srcip: string; dstuser: string; hash: string };
};

const world = process.env.WORLD;

/** Posts to the mock, which counts the call for this run. */
export async function post(path: string, run: string, body: object): Promise<any> {
  const answer = await fetch(`${world}${path}?run=${run}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return await answer.json();
}
