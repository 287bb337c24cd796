// A module of the portal as node can run it: types stripped, imports bundled, by the esbuild that vite builds with.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const portal = createRequire(new URL("../../portal/package.json", import.meta.url));
const esbuild = createRequire(portal.resolve("vite"))("esbuild");

export async function load(path) {
  const { outputFiles } = await esbuild.build({
    entryPoints: [fileURLToPath(new URL(`../../portal/src/${path}`, import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    target: "node18",
    jsx: "automatic",
    jsxImportSource: "preact",
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);
}
