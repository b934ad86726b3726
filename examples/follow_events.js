// Follows a stream of bytes by events, such as the log of a run, from its start to its end, each byte once.
// `show` is called with bytes; the returned function ends it.

export function followEvents(path, show) {
  let place = { offset: "-1" };
  let events, timer, pause;

  function open() {
    const query = new URLSearchParams({ ...place, live: "sse" });
    query.sort(); // so that all who are at this place request the same
    events = new EventSource(`${path}?${query}`);
    let held = [];
    events.addEventListener("data", (event) => held.push(event.data));
    events.addEventListener("control", (event) => {
      // What came without its control event comes again.
      for (const data of held.splice(0)) show(Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)));
      const { streamNextOffset, streamCursor, streamClosed } = JSON.parse(event.data);
      place = { offset: streamNextOffset, ...(streamCursor && { cursor: streamCursor }) };
      pause = 0;
      if (streamClosed) events.close();
    });
    events.onerror = () => {
      // After about a minute the server ends each reply: by itself the browser would ask for the same again.
      events.close();
      timer = setTimeout(open, pause);
      pause = Math.min(pause * 2 + 100, 5000);
    };
  }

  pause = 0;
  open();
  return () => {
    clearTimeout(timer);
    events.close();
  };
}
