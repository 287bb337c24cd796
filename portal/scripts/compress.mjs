// Lays a .br and a .gz twin beside every file of the build that gets smaller by it; the server sends them as they are.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = new URL("../../build/portal/", import.meta.url).pathname;
const worthIt = /\.(html|js|css|svg|json|txt)$/;

function compress(file) {
  const text = readFileSync(file);
  const twins = {
    br: brotliCompressSync(text, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: text.length },
    }),
    gz: gzipSync(text, { level: 9 }),
  };
  for (const [ending, bytes] of Object.entries(twins)) {
    if (bytes.length < text.length) writeFileSync(`${file}.${ending}`, bytes);
  }
}

for (const entry of readdirSync(root, { recursive: true })) {
  if (worthIt.test(entry)) compress(join(root, entry));
}
