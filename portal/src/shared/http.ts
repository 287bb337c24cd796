// Requests to our own origin. A refusal is a value; only what cannot happen throws.

export interface Problem {
  status: number; // 0: no answer came
  slug: string; // the end of the problem's type, or "offline"
  detail: string;
  field?: string;
  retryAfterS?: number;
}

export type Answer<T> = { ok: true; value: T; etag: string | null } | { ok: false; problem: Problem };

const problemPrefix = "urn:watchword:problem:";
const timeoutMs = 20_000;

export class Http {
  // Held in memory only: a reload asks the session for it again.
  csrfToken: string | null = null;
  // Called when the session has ended, whoever notices it.
  onSessionEnd: () => void = () => undefined;

  constructor(private readonly base: string) {}

  get<T>(path: string): Promise<Answer<T>> {
    return this.send<T>("GET", path);
  }
  post<T>(path: string, body?: object): Promise<Answer<T>> {
    return this.send<T>("POST", path, body);
  }
  // Where `ifMatch` is given, the change is made only to what was seen under that ETag; else 412.
  patch<T>(path: string, body: object, ifMatch?: string): Promise<Answer<T>> {
    return this.send<T>("PATCH", path, body, ifMatch ? { "If-Match": ifMatch } : {});
  }
  put<T>(path: string, body: object, ifMatch: string): Promise<Answer<T>> {
    return this.send<T>("PUT", path, body, { "If-Match": ifMatch });
  }
  delete(path: string, ifMatch?: string): Promise<Answer<null>> {
    return this.send<null>("DELETE", path, undefined, ifMatch ? { "If-Match": ifMatch } : {});
  }
  // What opens a session brings the token that every change carries from then on.
  async entered<T extends { csrf_token: string }>(answer: Promise<Answer<T>>): Promise<Answer<T>> {
    const session = await answer;
    if (session.ok) this.csrfToken = session.value.csrf_token;
    return session;
  }
  text(path: string): Promise<Answer<string>> {
    return this.send<string>("GET", path);
  }

  private async send<T>(method: string, path: string, body?: object, more: Record<string, string> = {}): Promise<Answer<T>> {
    const headers: Record<string, string> = { Accept: "application/json, image/svg+xml, text/plain", ...more };
    if (body) headers["Content-Type"] = "application/json";
    if (method !== "GET" && this.csrfToken) headers["X-CSRF-Token"] = this.csrfToken;
    let response: Response;
    try {
      response = await fetch(this.base + path, {
        method,
        headers,
        body: body ? JSON.stringify(body) : null,
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error",
        referrerPolicy: "no-referrer",
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch {
      return { ok: false, problem: { status: 0, slug: "offline", detail: "" } };
    }
    return this.read<T>(response);
  }

  private async read<T>(response: Response): Promise<Answer<T>> {
    const text = await response.text().catch(() => "");
    const json = /json/.test(response.headers.get("Content-Type") ?? "");
    if (response.ok) {
      const value = (json ? JSON.parse(text) : text === "" ? null : text) as T;
      return { ok: true, value, etag: response.headers.get("ETag") };
    }
    const problem = readProblem(response.status, json ? text : "", response.headers.get("Retry-After"));
    if (problem.status === 401) this.onSessionEnd();
    return { ok: false, problem };
  }
}

export function readProblem(status: number, text: string, retryAfter: string | null): Problem {
  let document: { type?: unknown; detail?: unknown; field?: unknown } = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (parsed && typeof parsed === "object") document = parsed;
  } catch {
    // Not ours, such as a proxy's error page: its status says enough.
  }
  const type = typeof document.type === "string" ? document.type : "";
  const problem: Problem = {
    status,
    slug: type.startsWith(problemPrefix) ? type.slice(problemPrefix.length) : `status_${status}`,
    detail: typeof document.detail === "string" ? document.detail : "",
  };
  if (typeof document.field === "string") problem.field = document.field;
  const seconds = Number(retryAfter);
  if (retryAfter && Number.isFinite(seconds)) problem.retryAfterS = seconds;
  return problem;
}
