// The server's clock as this page knows it: a phone is right or wrong against that one, not against this computer's.

export class ServerClock {
  private offsetMs = 0;

  // `serverTime` has whole seconds; half a second is the best guess of what it leaves out.
  learn(serverTime: string, askedAtMs: number, answeredAtMs: number): void {
    const told = Date.parse(serverTime);
    if (Number.isNaN(told)) return;
    const fraction = /\.\d/.test(serverTime) ? 0 : 500;
    this.offsetMs = told + fraction - (askedAtMs + answeredAtMs) / 2;
  }
  now(): number {
    return Date.now() + this.offsetMs;
  }
}

export const serverClock = new ServerClock();

// Whole seconds until the code on a right phone changes: from `periodS` down to 1.
export function secondsLeft(nowMs: number, periodS: number): number {
  return periodS - (Math.floor(nowMs / 1000) % periodS);
}
