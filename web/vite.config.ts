import { defineConfig, type Plugin } from "vite";

/**
 * NiiVue 0.69 computes a gradient volume at every change of the CT window: two passes over all
 * slices, each slice waiting for the GPU, and eight bytes a voxel. Only its lit rendering reads it,
 * which this page does not use. Made optional, windowing and opening take a third of the time.
 */
function withoutUnusedGradient(): Plugin {
  const always = "this.gradientTexture = gradientGL({";
  const twoPlaces = 3;
  return {
    name: "niivue-without-unused-gradient",
    transform(code, id) {
      if (!id.includes("@niivue/niivue/build/niivue/index.js")) return null;
      const parts = code.split(always);
      if (parts.length !== twoPlaces)
        this.error("NiiVue has changed: look at its gradientGL again");
      return { code: parts.join(`if (this.gradientTextureAmount !== 0) ${always}`), map: null };
    },
  };
}

export default defineConfig({
  plugins: [withoutUnusedGradient()],
  build: {
    outDir: "../src/vista3d/server/static",
    emptyOutDir: true,
    target: "es2022",
    // The page's policy is script-src 'self': nothing may become an inline script.
    modulePreload: { polyfill: false },
    license: { fileName: "third-party-licences.md" },
    chunkSizeWarningLimit: 2000,
    // Decompressors of a format (Zarr) that the viewer could read and this page never gives it.
    rolldownOptions: { external: [/^numcodecs/] },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000", "/healthz": "http://127.0.0.1:8000" } },
});
