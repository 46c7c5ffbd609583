import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/kaiki/console/static",
    emptyOutDir: true,
    // Small files inlined as data: addresses would need a wider Content-Security-Policy.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
  },
  server: { proxy: { "/api": "http://127.0.0.1:20001", "/login": "http://127.0.0.1:20001" } },
});
