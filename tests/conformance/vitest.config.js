import { defineConfig } from "vitest/config";

export default defineConfig({
  cacheDir: process.env.RUNCAST_CACHE, // several suites run at the same time
  test: {
    include: ["durable.test.js"],
    testTimeout: Number(process.env.RUNCAST_LONG_POLL_MS) + 10000, // longer than one long-poll
  },
});
