// Coming in without a link: behind a single-sign-on proxy, and by the organisation's OpenID provider.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessibilityFaults, launch, picture, visit } from "./support/browser.mjs";
import { steady } from "./support/phone.mjs";
import { begin, registerButton, typeCode } from "./support/portal.mjs";
import { Provider } from "./support/provider.mjs";
import { Server } from "./support/server.mjs";

const proxySecret = "p".repeat(40);

let browser, directory, edge, provider, server;
before(async () => {
  browser = await launch();
  directory = mkdtempSync(join(tmpdir(), "watchword-entry-"));
  writeFileSync(join(directory, "proxy.secret"), proxySecret, { mode: 0o600 });
  provider = await Provider.start();
  edge = await startProxy(); // the provider must know where the portal is before it starts
  server = await Server.start({ config: `[portal]\ncontact = "mfa@example.org"\nbase_url = "${edge.base}"\n
[portal.oidc]\nissuer = "${provider.issuer}"\nclient_id = "watchword"\nca_file = "${provider.certificate}"\n
[portal.oidc.console_groups]\nhelpdesk = ["read", "enroll"]\n` });
  edge.behind = server.base;
});
after(async () => {
  await browser?.close();
  edge?.stop();
  await server?.stop();
  provider?.stop();
  rmSync(directory, { recursive: true, force: true });
});

// Stands before a server, whose address it takes once that has started. With a user it is a sign-on proxy: it knows who the
// person is, and says so to the server behind it.
async function startProxy(user) {
  const proxy = {};
  const vouching = user ? { "X-Forwarded-User": user, "X-Watchword-Proxy-Secret": proxySecret } : {};
  const listener = createServer((request, answer) => {
    const to = new URL(proxy.behind);
    const headers = { ...request.headers, ...vouching };
    const onward = ask({ host: to.hostname, port: to.port, path: request.url, method: request.method, headers }, (reply) => {
      answer.writeHead(reply.statusCode, reply.headers);
      reply.pipe(answer);
    });
    request.pipe(onward);
  });
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  proxy.base = `http://127.0.0.1:${listener.address().port}`;
  proxy.stop = () => (listener.close(), listener.closeAllConnections());
  return proxy;
}

test("behind a proxy that is trusted the portal opens without a link, and devices are registered there", async () => {
  const config = `[portal.proxy]\nuser_header = "X-Forwarded-User"\naddresses = ["127.0.0.1"]\nshared_secret_file = "${join(directory, "proxy.secret")}"\n`;
  const behind = await Server.start({ config });
  const proxy = await startProxy("grace");
  proxy.behind = behind.base;
  try {
    const visitor = await visit(browser, proxy);
    await visitor.page.goto(`${proxy.base}/portal/`);
    await registerButton(visitor.page).waitFor();
    await visitor.page.getByText("Signed in as grace").waitFor();
    const app = await begin(visitor.page, "Phone");
    await steady();
    await typeCode(visitor.page, app.code());
    await visitor.page.getByText("“Phone” is registered").waitFor();
    await visitor.close();
    const direct = await visit(browser, behind);
    await direct.page.goto(`${behind.base}/portal/`);
    await direct.page.getByRole("heading", { name: "This page opens from a link" }).waitFor();
    await direct.close();
  } finally {
    proxy.stop();
    await behind.stop();
  }
});

test("the organisation's OpenID provider opens the portal", async () => {
  const visitor = await visit(browser, edge, { mayAsk: provider.issuer, ignoreHTTPSErrors: true });
  const { page } = visitor;
  await page.goto(`${edge.base}/portal/`);
  await page.getByRole("heading", { name: "Sign in", level: 1 }).waitFor();
  assert.deepEqual(await accessibilityFaults(page), []);
  await picture(page, "portal-sign-in");
  await page.getByRole("link", { name: "Sign in with your organisation" }).click();
  await page.getByRole("link", { name: "Yes, it is me" }).click();
  await registerButton(page).waitFor();
  await page.getByText("Signed in as ada@example.org").waitFor();
  assert.equal(page.url(), `${edge.base}/portal/`);
  const [cookie] = (await visitor.context.cookies()).filter(({ name }) => name === "watchword_portal");
  assert.ok(cookie.httpOnly && cookie.sameSite === "Strict");
  const app = await begin(page, "Phone");
  await steady();
  await typeCode(page, app.code());
  await page.getByText("“Phone” is registered").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  await visitor.close();
  const { entries } = await server.rest("GET", "/v1/audit?user=ada%40example.org&action=portal.sign_in");
  assert.equal(entries[0].detail.entry, "oidc");
});

test("who is not let in reads why, and begins again", async () => {
  const visitor = await visit(browser, edge, { mayAsk: provider.issuer, ignoreHTTPSErrors: true });
  const { page } = visitor;
  await page.goto(`${edge.base}/portal/`);
  await page.getByRole("link", { name: "Sign in with your organisation" }).click();
  await page.getByRole("link", { name: "No", exact: true }).click();
  await page.getByRole("alert").getByText("Your organisation's sign-in did not let you in.").waitFor();
  assert.equal(new URL(page.url()).hash, "#/");
  assert.deepEqual(await accessibilityFaults(page), []);
  // The way back of another browser's sign-in.
  await page.goto(`${edge.base}/portal/oidc/callback?code=x&state=y`);
  await page.getByRole("alert").getByText("That sign-in took too long, or belongs to another tab.").waitFor();
  await page.getByRole("link", { name: "Sign in with your organisation" }).click();
  await page.getByRole("link", { name: "Yes, it is me" }).click();
  await registerButton(page).waitFor();
  await visitor.close();
});

test("the console opens for who is in a group that may, with that group's scopes", async () => {
  const visitor = await visit(browser, edge, { mayAsk: provider.issuer, ignoreHTTPSErrors: true });
  const { page } = visitor;
  const signIn = async () => {
    await page.goto(`${edge.base}/console/`);
    await page.getByRole("link", { name: "Sign in with your organisation" }).click();
    await page.getByRole("link", { name: "Yes, it is me" }).click();
  };
  await signIn();
  await page.getByRole("alert").getByText("none of your groups may open this console").waitFor();
  provider.claims = { ...provider.claims, groups: ["staff", "helpdesk"] };
  await signIn();
  await page.getByRole("heading", { name: "People" }).waitFor();
  await page.getByText("ada@example.org, until").waitFor();
  await page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name: "API keys" }).click();
  await page.getByRole("alert").getByText("You may not do this here").waitFor();
  await visitor.close();
});
