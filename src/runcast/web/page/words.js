// Saying things: states, outcomes, times, sizes and command lines, as words for people.

const SIGNALS = {
  1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
  10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU",
  25: "SIGXFSZ", 31: "SIGSYS",
};
const signalName = (number) => SIGNALS[number] || `signal ${number}`;

const numbers = new Intl.NumberFormat("en");

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
  const two = (number) => String(number).padStart(2, "0");
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${two(minutes % 60)} min`;
  if (minutes) return `${minutes} min ${two(rest % 60)} s`;
  return `${rest} s`;
}

export const seconds = (text) => (text ? Date.parse(text) / 1000 : null);

/** When something was, in the words of whoever reads it. */
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

const quoted = (word) => (/^[\w@%+=:,./~-]+$/.test(word) && !word.startsWith("~") ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** A command as one would type it. */
export const commandLine = (argv) => visible(argv.map(quoted).join(" "));

/** What is run: a command, or else what kind of thing it is. */
export function what(run) {
  if (run.command.length) return commandLine(run.command);
  if (run.source === "unknown") return "nobody knows what: its run.json is damaged";
  return run.source === "stream" ? "a stream" : `a Python ${run.source}`;
}

/** What a run is doing or how it ended: the kind decides the colour, the word says it. */
export function verdict(run) {
  const [kind, word] = ending(run);
  return run.damaged ? ["bad", `${word}, damaged`] : [kind, word];
}

function ending(run) {
  const outcome = run.outcome;
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
    default: return ["bad", "lost"];
  }
}

/** How a run ended, as sentences, and what is wrong with its files. */
export function sentence(run) {
  return ended(run) + (run.damaged ? ` Its files are damaged: ${visible(run.damaged)}.` : "");
}

function ended(run) {
  const outcome = run.outcome;
  if (run.source === "stream") return outcome ? "Closed: nothing more will come." : "Open: others append to it.";
  if (!outcome) {
    const doing = { queued: "Waiting for its turn.", starting: "Starting …", stopping: "Asked to stop; waiting for its end." };
    return doing[run.state] || "Running.";
  }
  const started = seconds(run.started_at);
  const took = started && run.ended_at ? duration(seconds(run.ended_at) - started) : "";
  const after = took && ` after ${took}`;
  const end = outcome.signal ? signalName(outcome.signal) : `exit code ${outcome.code}`;
  const known = outcome.signal || outcome.code !== null;
  const said = {
    exited: outcome.ok ? `Finished with exit code 0${after}` : `Failed with ${end}${after}`,
    signaled: `Killed by ${end}${after}`,
    stopped: `Stopped${after}${known ? `, with ${end}` : ""}`,
    "timed out": `Stopped because its time was up${after && `,${after}`}`,
    "idle timed out": `Stopped because nothing came for too long${after && `,${after}`}`,
    "failed to start": "Could not be started",
  }[outcome.reason] || "Lost: nobody saw how it ended";
  const more = [outcome.message && `: ${visible(outcome.message)}`, "."].join("").replace(/\.\.$/, ".");
  const lost = outcome.dropped ? ` ${bytes(outcome.dropped)} of its output could not be kept.` : "";
  const cut = outcome.truncated ? " The middle of its output was dropped, at the cap on its size." : "";
  return said + more + lost + cut;
}
