// Saying things: states, outcomes, times, sizes and command lines, as words for people.

const SIGNALS = {
  1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
  10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU",
  25: "SIGXFSZ", 31: "SIGSYS",
};
const signalName = (number) => SIGNALS[number] || `signal ${number}`;

const numbers = new Intl.NumberFormat("en");

export const digits = (number) => numbers.format(number);
export const count = (number, word) => `${numbers.format(number)} ${word}${number === 1 ? "" : "s"}`;

export function bytes(number) {
  if (number < 1000) return `${number} B`;
  for (const unit of ["kB", "MB", "GB"]) {
    number /= 1000;
    if (number < 999.5 || unit === "GB") return `${number.toFixed(number < 99.5 ? 1 : 0)} ${unit}`;
  }
}

/** A duration; a short one to a tenth or to the millisecond, once it is over. */
export function duration(seconds, { over = true } = {}) {
  seconds = Math.max(0, seconds);
  if (seconds < 0.1 && over) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95 && over) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  const [days, hours, minutes, rest] = [86400, 3600, 60, 1].map((unit) => Math.floor(whole / unit));
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${two(minutes % 60)} min`;
  if (minutes) return `${minutes} min ${two(rest % 60)} s`;
  return `${rest} s`;
}

/** What the processes of a run used, such as `1.2 s CPU, 45 MB memory`; "" where that is not known. */
export function used(usage) {
  if (!usage) return "";
  const memory = usage.peak_memory_bytes && `${bytes(usage.peak_memory_bytes)} memory`;
  return [`${duration(usage.cpu_seconds)} CPU`, memory].filter(Boolean).join(", ");
}

/** The person or the program behind something, in a few words; "" where that is not known. */
export function person(who) {
  if (!who) return "";
  const name = visible(who.name);
  const words = {
    "command line": `${name}, on the command line`,
    python: `${name}, by Python`,
    token: "the server's token",
    "scoped token": `the token ${name}`,
    hook: `the hook ${name}`,
    "share link": "a share link",
    visitor: "a visitor",
  };
  return words[who.kind] ?? (name || visible(who.kind));
}

export const seconds = (text) => (text ? Date.parse(text) / 1000 : null);

/** A time, in the reader's language. */
export function moment(text, now) {
  const date = new Date(text);
  const sameDay = date.toDateString() === new Date(now).toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return sameDay ? time : `${date.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

export function ago(text, now) {
  const passed = Math.max(0, (now - Date.parse(text)) / 1000);
  if (passed < 5) return "just now";
  if (passed < 60) return `${Math.floor(passed / 5) * 5} s ago`;
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  if (passed < 86400) return `${Math.floor(passed / 3600)} h ago`;
  return moment(text, now);
}

// Characters that are not seen, or that change the order in which others are shown: a command must
// be read as what it is. Written as code points.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const NAMED = { "\n": "↵", "\t": "⇥" };

/** A text of one line, with nothing hidden in it. */
export const visible = (text) =>
  String(text).replace(HIDDEN, (char) => NAMED[char] || `‹U+${char.charCodeAt().toString(16).toUpperCase().padStart(4, "0")}›`);

/** The name of a file with a run's output, such as `make-2026-11-28-0956.log`. */
export function fileName(run) {
  const name = run.name.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[.-]+|-+$/g, "").slice(0, 60) || "run";
  const date = new Date(run.started_at || run.created_at);
  const [month, day, hour, minute] = [date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes()].map(two);
  return `${name}-${date.getFullYear()}-${month}-${day}-${hour}${minute}.log`;
}

export const two = (number) => String(number).padStart(2, "0"); // digits
const quoted = (word) => (/^[\w@%+=:,./~-]+$/.test(word) && !word.startsWith("~") ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** A command for a shell, to the byte: what no terminal would take as text is written as bash and zsh have it. */
export const shellLine = (argv) => argv.map((word) => (CONTROL.test(word) ? escaped(word) : quoted(word))).join(" ");

// Controls but for tab and line feed; and how JSON has a byte that is no UTF-8.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f\udc80-\udcff]/u;
const escaped = (word) =>
  `$'${word.replace(/[\u0000-\u001f\u007f'\\\udc80-\udcff]/gu, (char) => `\\x${(char.charCodeAt() & 0xff).toString(16).padStart(2, "0")}`)}'`;

/** A command as one would type it. */
export const commandLine = (argv) => visible(argv.map(quoted).join(" "));

/** What is run: a command, or else what kind of thing it is. */
export function what(run) {
  if (run.command.length) return commandLine(run.command);
  if (run.source === "unknown") return "nobody knows what: its run.json is damaged";
  return run.source === "stream" ? "a stream" : `a Python ${run.source}`;
}

/** What is run, where its name does not say it already. */
export function beside(run) {
  const said = what(run);
  return said === visible(run.name) || run.command.join(" ") === run.name ? "" : said;
}

/** How far a run is: the value and the end of a bar, without them where that is not known, and words. */
export function far({ done, total, text, status }) {
  const words = text || (total ? (status ? `${done} %` : `${done} of ${total}`) : done ?? "");
  const held = { paused: "paused", error: "an error" }[status];
  return { value: done, max: total || null, words: [visible(words), held].filter(Boolean).join(", ") };
}

/** How long a run took, in seconds; null if it has not both started and ended. */
export const took = (run) => (run.started_at && run.ended_at ? seconds(run.ended_at) - seconds(run.started_at) : null);

/** When a run was made, in milliseconds: an id begins with that. */
export const timeOf = (id) => [...id.slice(0, 10)].reduce((time, letter) => time * 32 + "0123456789abcdefghjkmnpqrstvwxyz".indexOf(letter), 0);

/** What a run is doing or how it ended: the kind decides the colour, the word says it. */
export function verdict(run) {
  const [kind, word] = ending(run);
  return run.damaged ? ["bad", `${word}, damaged`] : [kind, word];
}

function ending(run) {
  const outcome = run.outcome;
  if (!outcome && run.state === "running" && run.waiting) return ["wait", "waiting"];
  if (!outcome) return run.state === "stopping" ? ["warn", "stopping"] : ["busy", run.state];
  if (run.source === "stream") return ["good", "closed"];
  if (outcome.ok) return ["good", "done"];
  switch (outcome.reason) {
    case "exited": return ["bad", `exit ${outcome.code}`];
    case "signaled": return ["bad", signalName(outcome.signal)];
    case "stopped": return ["warn", "stopped"];
    case "timed out": return ["bad", "timed out"];
    case "idle timed out": return ["bad", "fell silent"];
    case "failed to start": return ["bad", "not started"];
    case "out of memory": return ["bad", "out of memory"];
    default: return ["bad", "lost"];
  }
}

/** Which host a run is on, where several share their runs, and how long it has been silent or out of reach. */
export function place(run, now) {
  const host = run.host;
  if (!host) return "";
  const said = host.here ? [] : [`on host ${host.name}`];
  if (host.silent_since && !run.outcome) said.push(`silent for ${duration((now - Date.parse(host.silent_since)) / 1000, { over: false })}`);
  if (host.unshared_since) said.push(`not shared since ${moment(host.unshared_since, now)}`);
  return visible(said.join(", "));
}

/** How a run ended, as the server says it, and what is wrong with its files. */
export function sentence(run) {
  return ended(run) + (run.damaged ? ` Its files are damaged: ${visible(run.damaged)}.` : "");
}

function ended(run) {
  const outcome = run.outcome;
  if (run.source === "stream") return outcome ? "Closed: nothing more will be added." : "Open: others append to it.";
  if (!outcome) {
    const turn = run.place ? `Waiting for its turn, number ${run.place} in ${run.queue ? `the queue ${run.queue}` : "line"}.` : "Waiting for its turn.";
    const doing = { queued: turn, starting: "Starting …", stopping: "Stopping: waiting for its end." };
    return doing[run.state] || (run.waiting ? `May be waiting for ${run.waiting.for === "password" ? "a password" : "input"}.` : "Running.");
  }
  return visible(outcome.text);
}
