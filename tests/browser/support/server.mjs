// The real binary in a data directory of its own, on a port that the kernel chose. What was started is ended by its process
// id, also when a test fails or the runner gives up.
import { execFile, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { eventually } from "./waiting.mjs";

const run = promisify(execFile);
const repository = fileURLToPath(new URL("../../../", import.meta.url));
const binary = process.env.WATCHWORD_BINARY ?? join(repository, "build/watchword");
const faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

process.once("SIGTERM", () => process.exit(143));

async function listeners(directory) {
  const [certificate, key] = ["cert.pem", "key.pem"].map((name) => join(directory, name));
  await run("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
    "/CN=watchword", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]);
  const listener = (planes, more = "") => `[[listener]]\nhost = "127.0.0.1"\nport = 0\nplanes = ${JSON.stringify(planes)}\n${more}`;
  return listener(["verify", "admin", "metrics"]) +
    listener(["portal"], `certificate_file = "${certificate}"\nkey_file = "${key}"\n`);
}

export class Server {
  // `config`: text of the configuration file. `movesClock`: forward() works. `tls`: the pages are at `base` over TLS, with a
  // certificate that nobody signed; REST is beside them without. `people`: CSV that is imported before the start.
  static async start({ config = "", movesClock = false, tls = false, people = "" } = {}) {
    const server = new Server();
    server.directory = mkdtempSync(join(tmpdir(), "watchword-browser-"));
    server.data = join(server.directory, "data");
    server.clockFile = movesClock ? join(server.directory, "clock") : null;
    if (movesClock) server.#writeClock(0);
    const flags = ["--data-dir", server.data];
    if (tls) config += await listeners(server.directory);
    if (config) {
      writeFileSync(join(server.directory, "watchword.toml"), config);
      flags.push("--config", join(server.directory, "watchword.toml"));
    }
    const made = await run(binary, ["init", ...flags]);
    server.admin = made.stdout.trim();
    if (people) {
      const file = join(server.directory, "people.csv");
      writeFileSync(file, people);
      await run(binary, ["import", file, "--format", "csv", ...flags], { maxBuffer: 1 << 26 });
    }
    const log = join(server.directory, "log");
    const descriptor = openSync(log, "a");
    // Also when the runner is killed: the server does not outlive it.
    const command = ["--pdeathsig", "KILL", binary, "serve", ...flags, ...(tls ? [] : ["--listen", "127.0.0.1:0"])];
    server.process = spawn("setpriv", command, {
      stdio: ["ignore", descriptor, descriptor],
      env: { ...process.env, ...server.#clockEnvironment() },
    });
    closeSync(descriptor);
    server.kill = () => server.process.kill("SIGKILL");
    process.on("exit", server.kill);
    const ports = await eventually(() => {
      const told = [...readFileSync(log, "utf8").matchAll(/"listening","address":"127\.0\.0\.1:(\d+)"/g)].map((match) => match[1]);
      return told.length === (tls ? 2 : 1) && told;
    }, "the ports");
    server.plain = `http://127.0.0.1:${ports[0]}`;
    server.base = tls ? `https://127.0.0.1:${ports[1]}` : server.plain;
    await eventually(async () => (await fetch(`${server.plain}/readyz`)).ok, "readiness");
    return server;
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGTERM");
    const code = await ended;
    process.off("exit", this.kill);
    const log = readFileSync(join(this.directory, "log"), "utf8");
    rmSync(this.directory, { recursive: true, force: true });
    if (code !== 0) throw new Error(`the server ended with ${code}:\n${log}`);
  }

  log() {
    return readFileSync(join(this.directory, "log"), "utf8");
  }

  // A request of REST as the administrator; returns the answer's JSON, or throws where the status is not below 400.
  async rest(method, path, body, headers = {}) {
    const answer = await fetch(this.plain + path, {
      method,
      headers: { Authorization: `Bearer ${this.admin}`, ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text && /json/.test(answer.headers.get("Content-Type") ?? "") ? JSON.parse(text) : text;
  }
  async link(user, expiresInS) {
    const body = expiresInS ? { expires_in_s: expiresInS } : undefined;
    return (await this.rest("POST", `/v1/users/${encodeURIComponent(user)}/portal-links`, body)).url;
  }
  verify(user, code) {
    return this.rest("POST", "/v1/verify", { user, code });
  }
  async setPolicy(changes) {
    return this.rest("PUT", "/v1/policy", { ...(await this.rest("GET", "/v1/policy")), ...changes });
  }
  // An active device that was registered over REST; the code of `step` confirms it.
  async register(user, name, phone, stepsBack = 0) {
    const path = `/v1/users/${encodeURIComponent(user)}/devices`;
    const begun = await this.rest("POST", path, { name });
    const made = phone(begun.secret);
    const confirmed = await this.rest("POST", `${path}/${begun.id}/confirm`, { code: made.code(-30 * stepsBack) });
    if (confirmed.result === "rejected") throw new Error("the registration over REST was rejected");
    return Object.assign(made, { id: begun.id });
  }

  // The server's wall clock goes forward, and on at its usual pace.
  forward(seconds) {
    this.clockOffsetS = (this.clockOffsetS ?? 0) + seconds;
    this.#writeClock(this.clockOffsetS);
  }
  #writeClock(offsetS) {
    writeFileSync(`${this.clockFile}.new`, `+${offsetS}\n`);
    renameSync(`${this.clockFile}.new`, this.clockFile);
  }
  #clockEnvironment() {
    if (!this.clockFile) return {};
    return {
      LD_PRELOAD: faketime, FAKETIME_TIMESTAMP_FILE: this.clockFile, FAKETIME_DONT_FAKE_MONOTONIC: "1", FAKETIME_NO_CACHE: "1",
      FAKETIME_DISABLE_SHM: "1", NO_FAKE_STAT: "1",
    };
  }
}
