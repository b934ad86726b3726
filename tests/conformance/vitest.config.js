import { defineConfig } from "vitest/config";

const factor = Number(process.env.RUNCAST_TEST_TIMEOUT_FACTOR ?? 1);

export default defineConfig({
  cacheDir: process.env.RUNCAST_CACHE, // several suites run at the same time
  test: {
    include: ["durable.test.js"],
    // Longer than one long-poll, and on a slow machine by as much as all other deadlines.
    testTimeout: Number(process.env.RUNCAST_LONG_POLL_MS) + 10000 * factor,
  },
});
