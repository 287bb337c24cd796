// What the console says to the server: its own session, and the administrator's REST under it.
import type { BegunDevice, Confirmation, Device } from "../shared/devices";
import { Http } from "../shared/http";
import type { History } from "./metrics";

export interface ConsoleSession {
  csrf_token: string;
  scopes: string[];
  name: string;
  expires_at: string;
}
export interface UserRow {
  user: string;
  created_at: string;
  active_devices: number;
}
export interface UserPage {
  users: UserRow[];
  next_cursor?: string;
}
export interface AdminDevice extends Device {
  drift_steps: number;
}
export interface UserDetail {
  user: string;
  created_at: string;
  failures: number;
  locked: boolean;
  hard_locked?: boolean;
  retry_after_s?: number;
  recovery_codes_left?: number;
  devices: AdminDevice[];
}
export interface Resync {
  result: "accepted" | "rejected" | "replayed" | "locked";
  drift_steps?: number;
  retry_after_s?: number;
}
export interface ApiKey {
  id: string;
  name: string;
  scopes: string[];
  created_at: string;
  expires_at?: string | null;
  expired?: boolean;
  last_used_at?: string | null;
  old_key_until?: string | null; // a rotated key's old secret counts until then
  address_ranges?: string[];
}
export interface NewApiKey {
  name: string;
  scopes: string[];
  expires_at?: string;
  address_ranges?: string[];
}
export interface AuditEntry {
  sequence?: number;
  at: string;
  actor: string;
  address?: string;
  action: string;
  user?: string;
  device?: string;
  detail?: unknown;
}
export interface AuditPage {
  entries: AuditEntry[];
  next_cursor?: string;
}
export type PolicyValue = string | number;
export type Policy = Record<string, PolicyValue | Record<string, PolicyValue>>;

export const http = new Http("/console/api");

const person = (user: string) => `/v1/users/${encodeURIComponent(user)}`;
const device = (user: string, id: string) => `${person(user)}/devices/${encodeURIComponent(id)}`;

export function query(values: Record<string, string | undefined>): string {
  const given = Object.entries(values).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return given.length ? "?" + given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&") : "";
}

export const api = {
  session: () => http.entered(http.get<ConsoleSession>("/session")),
  enter: (key: string) => http.entered(http.post<ConsoleSession>("/session", { api_key: key })),
  leave: () => http.delete("/session"),
  metrics: () => http.text("/metrics"),
  history: () => http.get<History>("/metrics/history"),
  users: (prefix: string, cursor: string | undefined, limit: number) =>
    http.get<UserPage>("/v1/users" + query({ prefix, cursor, limit: String(limit) })),
  user: (user: string) => http.get<UserDetail>(person(user)),
  removeUser: (user: string, etag: string) => http.delete(person(user), etag),
  unlock: (user: string) => http.post<UserDetail>(`${person(user)}/unlock`),
  enable: (user: string, id: string, enabled: boolean, etag: string) =>
    http.patch<AdminDevice>(device(user, id), { enabled }, etag),
  removeDevice: (user: string, id: string, etag: string) => http.delete(device(user, id), etag),
  link: (user: string, expiresInS: number) =>
    http.post<{ url: string; expires_at: string }>(`${person(user)}/portal-links`, { expires_in_s: expiresInS }),
  begin: (user: string, name: string) => http.post<BegunDevice>(`${person(user)}/devices`, { name }),
  confirm: (user: string, id: string, code: string) => http.post<Confirmation>(`${device(user, id)}/confirm`, { code }),
  resync: (user: string, id: string, code1: string, code2: string) =>
    http.post<Resync>(`${device(user, id)}/resync`, { code1, code2 }),
  policy: () => http.get<Policy>("/v1/policy"),
  replacePolicy: (policy: Policy, etag: string) => http.put<Policy>("/v1/policy", policy, etag),
  keys: () => http.get<{ api_keys: ApiKey[] }>("/v1/api-keys"),
  createKey: (wanted: NewApiKey) => http.post<{ id: string; key: string; name: string }>("/v1/api-keys", wanted),
  rotateKey: (id: string, overlapS: number) =>
    http.post<{ key: string; name: string }>(`/v1/api-keys/${encodeURIComponent(id)}/rotate`, { overlap_s: overlapS }),
  revokeKey: (id: string) => http.delete(`/v1/api-keys/${encodeURIComponent(id)}`),
  audit: (filter: { from?: string; to?: string; user?: string; action?: string; cursor?: string }) =>
    http.get<AuditPage>("/v1/audit" + query(filter)),
};
