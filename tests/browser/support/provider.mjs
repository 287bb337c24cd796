// An OpenID provider over TLS on the loopback. It knows one person, and asks for one click.
import { execFileSync } from "node:child_process";
import { createHash, createSign, generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";

const base64url = (data) => Buffer.from(data).toString("base64url");
const json = (value) => JSON.stringify(value);

export class Provider {
  static async start() {
    const provider = new Provider();
    provider.directory = mkdtempSync(join(tmpdir(), "watchword-provider-"));
    const [certificate, key] = ["cert.pem", "key.pem"].map((name) => join(provider.directory, name));
    execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=provider", "-addext",
      "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], { stdio: "ignore" });
    provider.certificate = certificate;
    provider.keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
    provider.claims = { preferred_username: "ada@example.org", groups: ["staff"] };
    provider.codes = new Map();
    provider.server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, answer) => {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => provider.#answer(request, Buffer.concat(chunks).toString(), answer));
    });
    await new Promise((resolve) => provider.server.listen(0, "127.0.0.1", resolve));
    provider.issuer = `https://127.0.0.1:${provider.server.address().port}`;
    return provider;
  }

  stop() {
    this.server.close();
    this.server.closeAllConnections();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #answer(request, body, answer) {
    const url = new URL(request.url, this.issuer);
    const say = (value, status = 200) => answer.writeHead(status, { "Content-Type": "application/json" }).end(json(value));
    if (url.pathname === "/.well-known/openid-configuration") return say(this.#configuration());
    if (url.pathname === "/keys") return say({ keys: [{ ...this.keys.publicKey.export({ format: "jwk" }), kid: "one", use: "sig", alg: "RS256" }] });
    if (url.pathname === "/token") return say(...this.#redeem(new URLSearchParams(body)));
    if (url.pathname !== "/authorize") return say({}, 404);
    // The person's own page there: two links, nothing else.
    const code = base64url(randomBytes(16));
    const asked = Object.fromEntries(url.searchParams);
    this.codes.set(code, asked);
    const back = (parameters) => `${asked.redirect_uri}?${new URLSearchParams({ ...parameters, state: asked.state })}`.replaceAll("&", "&amp;");
    answer.writeHead(200, { "Content-Type": "text/html" });
    answer.end(`<!doctype html><title>Provider</title><a href="${back({ code })}">Yes, it is me</a> <a href="${back({ error: "access_denied" })}">No</a>`);
  }
  #configuration() {
    return {
      issuer: this.issuer, authorization_endpoint: `${this.issuer}/authorize`, token_endpoint: `${this.issuer}/token`,
      jwks_uri: `${this.issuer}/keys`, response_types_supported: ["code"], id_token_signing_alg_values_supported: ["RS256"],
      token_endpoint_auth_methods_supported: ["none", "client_secret_basic"], code_challenge_methods_supported: ["S256"],
    };
  }
  #redeem(form) {
    const asked = this.codes.get(form.get("code"));
    this.codes.delete(form.get("code"));
    const challenge = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
    if (!asked || challenge !== asked.code_challenge || form.get("redirect_uri") !== asked.redirect_uri) return [{ error: "invalid_grant" }, 400];
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: this.issuer, aud: asked.client_id, sub: "1", iat: now, exp: now + 300, nonce: asked.nonce, ...this.claims };
    const text = `${base64url(json({ alg: "RS256", kid: "one" }))}.${base64url(json(claims))}`;
    const signature = createSign("RSA-SHA256").update(text).sign(this.keys.privateKey).toString("base64url");
    return [{ access_token: "x", token_type: "Bearer", id_token: `${text}.${signature}` }];
  }
}
