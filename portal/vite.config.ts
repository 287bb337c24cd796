import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const pages = ["portal", "console"];

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const entries = Object.fromEntries(pages.map((page) => [page, file(`./${page}/index.html`)]));

// NAME/index.html, of the one template that both pages have.
function templated(): Plugin {
  const pageOf = new Map(Object.entries(entries).map(([page, entry]) => [entry, page]));
  return {
    name: "templated",
    enforce: "pre",
    resolveId: (id) => (pageOf.has(id) ? id : null),
    load(id) {
      const page = pageOf.get(id);
      if (page === undefined) return null;
      this.addWatchFile(file("./page.html"));
      return readFileSync(file("./page.html"), "utf8").replace("{{page}}", page);
    },
  };
}

// Two pages, one set of hashed assets. Nothing is inlined: the server's content security policy allows files of its own
// origin and nothing else.
export default defineConfig({
  base: "/",
  appType: "mpa",
  plugins: [templated()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "../build/portal",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    cssTarget: "es2022",
    rollupOptions: { input: entries },
  },
});
