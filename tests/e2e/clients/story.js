// What a program does with the client, the same in Node and in a page; each thing that it sees is said.
export async function story({ Polis, Problem }, options, { graph, account, say }) {
  const polis = new Polis(options);
  if (account) await polis.call("OpenBrowserSession", account);
  await refusal(Problem, polis.call("StartRun", { graph: "No Name" })).then(say);
  const run = await polis.call("StartRun", { graph }, { idempotencyKey: `once-${graph}` });
  const again = await polis.call("StartRun", { graph }, { idempotencyKey: `once-${graph}` });
  await say({ run: run.id, again: again.id });
  for await (const change of polis.follow(`run/${run.id}`, { after: 0 })) await say(change);
  await say({ state: (await polis.call("GetRun", { run_id: run.id })).state });
  await refusal(Problem, polis.follow("run/00000000-0000-4000-8000-000000000000").next()).then(say);
  await talk(polis).then(say);
  if (account) await refusal(Problem, signOut(polis)).then(say);
}

// A page that has a token and no session: each of its sockets is opened by a ticket.
export async function ticketed({ Polis }, options, say) {
  const polis = new Polis(options);
  let snapshots = 0;
  for await (const { kind } of polis.follow("asks")) {
    await say({ kind });
    if (++snapshots < 2) continue;
    // Its socket is wanted all the while, however long this takes.
    await say(await talk(polis));
    break;
  }
  polis.close();
}

// Two topics and what is said, on one socket: of what is posted, the text alone.
async function talk(polis) {
  const { id } = await polis.call("CreateConversation", { kind: "group" });
  const wanted = { kinds: ["posted"], fields: ["entry.message.text"] };
  for await (const { kind, data } of polis.follow(`conversation/${id}`, wanted)) {
    if (kind === "change") return { told: data };
    await polis.typing(id);
    await polis.post(id, "hällo");
  }
}

async function signOut(polis) {
  for await (const change of polis.follow("asks")) {
    if (change.kind === "snapshot") await polis.call("CloseBrowserSession");
  }
}

async function refusal(Problem, promise) {
  try {
    return { unexpected: await promise };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { type: error.type, status: error.status, at: error.faults.map((fault) => fault.pointer) };
  }
}
