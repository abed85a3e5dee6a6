const FIRST_MS = 250;
const LONGEST_MS = 15_000;

// How long to wait before the next attempt: twice as long each time, with jitter, so that clients that were cut off together do
// not come back together. What the server asks for is kept.
export function pauseMs(attempt, retryAfterS = null) {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  const jittered = longest * (0.5 + Math.random() / 2);
  return retryAfterS === null ? jittered : retryAfterS * 1000 + jittered;
}

// Rejects with the signal's reason when it is aborted meanwhile.
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
