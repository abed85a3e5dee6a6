// A refusal of the mesh (RFC 9457): `type` and `status` are contract, `title` and `detail` are for people.
// Where there was no answer to refuse with, `status` is 0 and `cause` says why.
export class Problem extends Error {
  constructor(content, retryAfter = null, cause = undefined) {
    const faults = (content.faults ?? []).map((fault) => `${fault.pointer}: ${fault.detail}`).join("; ");
    super([content.title, content.detail, faults].filter(Boolean).join(" "), { cause });
    this.name = "Problem";
    this.type = content.type ?? "about:blank";
    this.status = content.status ?? 0;
    this.title = content.title ?? "";
    this.detail = content.detail ?? "";
    this.faults = content.faults ?? [];
    this.retryAfter = retryAfter ?? content.retry_after_s ?? null;
    this.content = content;
  }

  // What an answer that is none says. A proxy on the way may not speak of problems.
  static async of(answer) {
    let content = null;
    try {
      content = await answer.json();
    } catch {
      // Its status says all that there is to say.
    }
    if (content === null || typeof content !== "object") content = { title: answer.statusText };
    const after = Number.parseFloat(answer.headers.get("retry-after"));
    return new Problem({ ...content, status: answer.status }, Number.isFinite(after) ? after : null);
  }

  // What an answer that never came is. cause: what failed.
  static unreached(cause) {
    return new Problem({ title: "The gateway was not reached, or did not answer in time." }, null, cause);
  }
}
