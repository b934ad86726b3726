// The protocol's own tests, all of them, against the server that RUNCAST_URL names. Subscriptions,
// which the protocol keeps apart, are not asked for.
import "./stretched.js";
import { runConformanceTests } from "@durable-streams/server-conformance-tests";

runConformanceTests({
  baseUrl: process.env.RUNCAST_URL,
  longPollTimeoutMs: Number(process.env.RUNCAST_LONG_POLL_MS),
});
