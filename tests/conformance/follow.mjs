// Follow a stream to its end with the official client, and write its bytes to stdout. A connection
// that is cut in the middle of events is an error to the client: it leaves it to us to come back.
import { stream } from "@durable-streams/client";

const [url, live] = process.argv.slice(2);
let offset = "-1";
let closed = false;
while (!closed) {
  try {
    const response = await stream({ url, offset, live, warnOnHttp: false, onError: () => ({}) });
    response.subscribeBytes(async (chunk) => {
      if (!process.stdout.write(chunk.data)) await new Promise((done) => process.stdout.once("drain", done));
      ({ offset, streamClosed: closed } = chunk);
    });
    await response.closed;
    closed ||= response.streamClosed;
  } catch (error) {
    if (error.status !== undefined) throw error;
    await new Promise((done) => setTimeout(done, 50));
  }
}
