// What the portal knows while it is open. Secrets live in `flow` alone, and are dropped when the person leaves it.
import type { BegunDevice } from "../shared/devices";

export interface Flow {
  name: string;
  begun: BegunDevice | null; // with the secret: only in the page that began the registration
}

let current: Flow | null = null;

export const flow = {
  get: (): Flow => (current ??= { name: "", begun: null }),
  keep: (changes: Partial<Flow>): void => {
    current = { ...flow.get(), ...changes };
  },
  // Emptied, not only let go: a closure that the browser still keeps then holds nothing either.
  drop: (): void => {
    if (current?.begun) Object.assign(current.begun, { secret: "", qr: null, otpauth_uri: "" });
    current = null;
  },
};

// What was to happen when the server first asked for a code of an existing device.
export type Wanted = { what: "register" } | { what: "recovery" } | { what: "remove"; device: string };

let wanted: Wanted | null = null;
export const wish = {
  set: (value: Wanted): void => {
    wanted = value;
  },
  take: (): Wanted | null => {
    const value = wanted;
    wanted = null;
    return value;
  },
};
