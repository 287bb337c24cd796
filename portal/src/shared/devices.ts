// Devices as the server tells of them, to the person and to the administrator alike.
import { fill } from "./language";
import { duration } from "./times";

export interface Device {
  id: string;
  name: string;
  status: "pending" | "active";
  enabled: boolean;
  created_at: string;
  confirmed_at?: string;
  last_used_at?: string;
  expires_at?: string;
  digits: number;
  period: number;
  algorithm: string;
}
// The only answer with the secret.
export interface BegunDevice {
  id: string;
  name: string;
  algorithm: string;
  digits: number;
  period: number;
  secret: string;
  qr: { svg: string } | null;
  expires_at: string;
}
export interface Confirmation {
  result: "accepted" | "rejected";
  clock_offset_s?: number;
}

// Why a code did not confirm a registration: not right, or right at another time.
export function refusalOf(answer: Confirmation, words: { wrong: string; behind: string; ahead: string }, language: string): string {
  const offset = answer.clock_offset_s;
  if (!offset) return words.wrong;
  return fill(offset < 0 ? words.behind : words.ahead, { time: duration(offset, language) });
}
