// Lays a .br and a .gz twin beside every file of the build that gets smaller by it; the server sends them as they are.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("../../build/portal/", import.meta.url));
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

function walk(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) walk(path);
    else if (worthIt.test(entry.name)) compress(path);
  }
}

walk(root);
