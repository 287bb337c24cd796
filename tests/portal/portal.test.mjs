// What the portal knows while it is open.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { flow, wish } = await load("portal/state.ts");

test("what is dropped holds no secret, whoever still has it", () => {
  const begun = { id: "1", name: "Phone", secret: "JBSWY3DPEHPK3PXP", otpauth_uri: "otpauth://x", qr: { svg: "<svg>" } };
  flow.keep({ name: "Phone" });
  flow.keep({ begun });
  assert.equal(flow.get().name, "Phone");
  flow.drop();
  assert.equal(flow.get().begun, null);
  assert.equal(JSON.stringify(begun).includes("JBSW"), false);
  assert.equal(begun.qr, null);
});

test("a wish is taken once", () => {
  wish.set({ what: "remove", device: "1" });
  assert.deepEqual(wish.take(), { what: "remove", device: "1" });
  assert.equal(wish.take(), null);
});
