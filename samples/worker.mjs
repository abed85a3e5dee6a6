// A worker in JavaScript, with nothing but Node 20: `POLIS_ADDRESS=http://127.0.0.1:8080 POLIS_KEY=pk_... node samples/worker.mjs`.

const address = `${process.env.POLIS_ADDRESS}/api/v1`;
const components = {
  // What a component does: a message goes in, messages go out by port.
  async "orders.price"({ inputs, config }) {
    const order = inputs.in;
    if (order.count < 0) throw Object.assign(new Error("an order has at least nothing in it"), { kind: "order.invalid" });
    return [{ port: "out", value: { id: order.id, price: order.count * (config.each ?? 1) } }];
  },
};

async function post(path, body) {
  const headers = { authorization: `Bearer ${process.env.POLIS_KEY}`, "content-type": "application/json" };
  const answer = await fetch(address + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw Object.assign(new Error(await answer.text()), { status: answer.status });
  return answer.status === 204 ? null : answer.json();
}

async function work(job) {
  const mine = { token: job.token };
  const beat = setInterval(() => post(`/jobs/${job.id}/heartbeat`, mine).catch(() => {}), (job.lease_s * 1000) / 3);
  try {
    const emitted = await components[job.component](job);
    await post(`/jobs/${job.id}/complete`, { ...mine, emitted });
  } catch (error) {
    if (error.status === 404 || error.status === 409) return; // somebody else's by now
    const failure = { ...mine, kind: error.kind ?? "job.failed", message: error.message || "it failed", retryable: !error.kind };
    await post(`/jobs/${job.id}/fail`, failure).catch(() => {}); // it is offered again when its lease has ended
  } finally {
    clearInterval(beat);
  }
}

let stopping = false;
process.on("SIGTERM", () => { stopping = true; });
while (!stopping) {
  try {
    const { jobs } = await post("/jobs/claim", { components: Object.keys(components), limit: 8, wait_s: 5 });
    await Promise.all(jobs.map(work));
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
