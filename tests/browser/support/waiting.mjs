// Waiting for what comes, with an end to it.

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function eventually(condition, what, deadlineMs = 30_000) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await Promise.resolve().then(condition).catch(() => false);
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what} did not come within ${deadlineMs} ms`);
    await pause(20);
  }
}
