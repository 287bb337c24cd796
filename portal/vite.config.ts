import { defineConfig } from "vite";

// Two pages, one set of hashed assets. Nothing is inlined: the server's content security policy allows files of its own
// origin and nothing else.
export default defineConfig({
  base: "/",
  appType: "mpa",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "../build/portal",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    cssTarget: "es2022",
    rollupOptions: { input: { portal: "portal/index.html", console: "console/index.html" } },
  },
});
