// The policy's settings: how each is edited and what it does, as data. The server has the last word on every value.
import { fill, type Texts } from "../shared/language";
import { duration } from "../shared/times";
import type { Policy, PolicyValue } from "./api";

type TextsOf = Texts["console"];
export type FieldName = keyof TextsOf["field"];
type Choice = keyof TextsOf["choice"];

export interface PolicyField {
  name: FieldName;
  group: keyof TextsOf["group"];
  choices?: Choice[];
  min?: number;
  max?: number;
}

export const policyFields: PolicyField[] = [
  { name: "self_registration", group: "registration", choices: ["allowed", "denied"] },
  { name: "max_devices_per_user", group: "registration", min: 1, max: 8 },
  { name: "registration_window_steps", group: "registration", min: 0, max: 10 },
  { name: "pending_expires_s", group: "registration", min: 60, max: 86_400 },
  { name: "issuer", group: "codes" },
  { name: "algorithm", group: "codes", choices: ["SHA1", "SHA256", "SHA512"] },
  { name: "digits", group: "codes", min: 6, max: 8 },
  { name: "period", group: "codes", min: 15, max: 300 },
  { name: "prompt", group: "signIn", choices: ["always", "never"] },
  { name: "no_device_action", group: "signIn", choices: ["register", "allow", "deny"] },
  { name: "window_steps", group: "signIn", min: 0, max: 10 },
  { name: "max_drift_steps", group: "signIn", min: 0, max: 100 },
  { name: "lockout.failures", group: "lockout", min: 1, max: 100 },
  { name: "lockout.delay_s_min", group: "lockout", min: 1 },
  { name: "lockout.delay_s_max", group: "lockout", min: 1 },
  { name: "lockout.hard_failures", group: "lockout", min: 1, max: 100 },
  { name: "audit_verifications", group: "audit", choices: ["all", "refusals", "none"] },
];

// Those that this server's policy has.
export function fieldsOf(policy: Policy): PolicyField[] {
  return policyFields.filter(({ name }) => valueOf(policy, name) !== "" || name === "issuer");
}

export function valueOf(policy: Policy, name: string): PolicyValue {
  const [outer = "", inner] = name.split(".");
  const value = policy[outer];
  const found = inner === undefined ? value : typeof value === "object" ? value[inner] : undefined;
  return typeof found === "object" || found === undefined ? "" : found;
}

// A copy with one value changed; settings that this page does not know are kept as they are.
export function withValue(policy: Policy, name: string, value: PolicyValue): Policy {
  const [outer = "", inner] = name.split(".");
  if (inner === undefined) return { ...policy, [outer]: value };
  const nested = policy[outer];
  return { ...policy, [outer]: { ...(typeof nested === "object" ? nested : {}), [inner]: value } };
}

export function changedFields(before: Policy, after: Policy): FieldName[] {
  return policyFields.map((field) => field.name).filter((name) => valueOf(before, name) !== valueOf(after, name));
}

// What a setting does at the value that it has now, in words.
export function effectOf(policy: Policy, name: FieldName, t: TextsOf, language: string): string {
  const v = valueOf(policy, name);
  const number = Number(v);
  const period = Number(valueOf(policy, "period"));
  const digits = Number(valueOf(policy, "digits"));
  const e = t.effect;
  switch (name) {
    case "self_registration":
      return v === "denied" ? e.self_registration_denied : e.self_registration_allowed;
    case "max_devices_per_user":
      return fill(e.max_devices_per_user, { n: number });
    case "no_device_action":
      return v === "allow" ? e.no_device_action_allow : v === "deny" ? e.no_device_action_deny : e.no_device_action_register;
    case "prompt":
      return v === "never" ? e.prompt_never : e.prompt_always;
    case "issuer":
      return fill(e.issuer, { v });
    case "algorithm":
      return v === "SHA1" ? e.algorithm_SHA1 : v === "SHA256" ? e.algorithm_SHA256 : e.algorithm_SHA512;
    case "digits": {
      const tries = fill(e.digits, { n: new Intl.NumberFormat(language).format(10 ** digits) });
      return number === 6 ? tries : `${tries} ${fill(e.digitsUnusual, { v: number })}`;
    }
    case "period":
      return fill(e.period, { v: number });
    case "window_steps":
      return fill(e.window_steps, { s: period * (2 * number + 1), p: period, w: number });
    case "registration_window_steps":
      return fill(e.registration_window_steps, { s: period * number });
    case "max_drift_steps":
      return fill(e.max_drift_steps, { s: period * number });
    case "pending_expires_s":
      return fill(e.pending_expires_s, { t: duration(number, language) });
    case "lockout.failures":
      return fill(e.lockout_failures, { v: number });
    case "lockout.delay_s_min":
      return fill(e.lockout_delay_s_min, { t: duration(number, language) });
    case "lockout.delay_s_max":
      return fill(e.lockout_delay_s_max, { t: duration(number, language) });
    case "lockout.hard_failures":
      return fill(e.lockout_hard_failures, { v: number });
    case "audit_verifications":
      return v === "all" ? e.audit_verifications_all : v === "none" ? e.audit_verifications_none : e.audit_verifications_refusals;
  }
}
