// What the portal says to the server, and what it hears.
import { serverClock } from "../shared/clock";
import type { BegunDevice, Confirmation, Device } from "../shared/devices";
import { Http, type Answer } from "../shared/http";

export interface PortalConfig {
  oidc: boolean;
  issuer: string;
  contact: string | null;
}
export interface Session {
  user: string;
  csrf_token: string;
  expires_at: string;
}
export interface DeviceList {
  devices: Device[];
  may_register: boolean;
  reason: null | "policy_denied" | "device_limit" | "code_needed";
  max_devices: number;
  recovery_codes_left: number;
  code_needed: boolean;
  server_time: string;
}
export interface CodeResult {
  result: "accepted" | "rejected" | "replayed" | "locked" | "no_device";
  retry_after_s?: number;
}

export const http = new Http("/portal/api");

async function withClock<T extends { server_time: string }>(request: () => Promise<Answer<T>>): Promise<Answer<T>> {
  const asked = Date.now();
  const answer = await request();
  if (answer.ok) serverClock.learn(answer.value.server_time, asked, Date.now());
  return answer;
}

const device = (id: string) => `/devices/${encodeURIComponent(id)}`;

export const api = {
  config: () => http.get<PortalConfig>("/config"),
  session: () => http.entered(http.get<Session>("/session")),
  enterByLink: (link: string) => http.entered(http.post<Session>("/session", { link })),
  enterByProxy: () => http.entered(http.post<Session>("/session")),
  leave: () => http.delete("/session"),
  devices: () => withClock(() => http.get<DeviceList>("/devices")),
  // A code of a device, or a recovery code.
  prove: (code: string) => http.post<CodeResult>("/code", { code }),
  begin: (name: string) => withClock(() => http.post<BegunDevice & { server_time: string }>("/devices", { name })),
  qr: (id: string) => http.text(`${device(id)}/qr.svg`),
  confirm: (id: string, code: string) => http.post<Confirmation>(`${device(id)}/confirm`, { code }),
  rename: (id: string, name: string) => http.patch<Device>(device(id), { name }),
  remove: (id: string) => http.delete(device(id)),
  recoveryCodes: () => http.post<{ codes: string[] }>("/recovery-codes"),
};
