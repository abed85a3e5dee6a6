// A cut, which another attempt may mend.
export class Lost extends Error {
  constructor(message, { cause, retryAfter = null, revoked = false, sent = false } = {}) {
    super(message, { cause });
    this.passing = true;
    this.retryAfter = retryAfter;
    this.revoked = revoked;
    this.sent = sent;
  }
}

const LATER = new Set([408, 429]);

// What a problem means to a follower: a cut when it may pass, as that the gateway was not reached (0), or itself.
export function refused(problem) {
  if (problem.status && problem.status < 500 && !LATER.has(problem.status)) return problem;
  return new Lost(problem.message, { cause: problem, retryAfter: problem.retryAfter });
}
