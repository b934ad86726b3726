"""Write the blocking twin of each module whose functions are awaited.

The twin is the same text without `await` and `async`, with the names and phrases of `NAMES` and
`PHRASES` in place of the awaited ones, formatted as the rest of the code. `make format` runs this
script; `make lint` runs it with `--check`, which fails when a twin is stale.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "runcast"
TWINS = {
    PACKAGE / "run" / "verbs_aio.py": PACKAGE / "run" / "verbs_sync.py",
    PACKAGE / "client" / "aio.py": PACKAGE / "client" / "sync.py",
}
NAMES = {
    "AsyncClient": "Client",
    "AsyncIterator": "Iterator",
    "AsyncRemoteRun": "RemoteRun",
    "AsyncTransport": "Transport",
    "AsyncVerbs": "Verbs",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "transport_aio": "transport_sync",
    "verbs_aio": "verbs_sync",
}
PHRASES = {
    ", awaited: ": ", blocking: ",
    "All tasks of an event loop may share it": "All threads may share it",
    "Waiting suspends the calling task": "Waiting blocks the calling thread",
    "an `async with`": "a `with`",
    "the client that tasks share": "the client that threads share",
}
_HEAD = '"""{first}\n\nGenerated from {source} by scripts/twins.py: edit that, and run `make format`.\n"""\n'
_DOCSTRING = re.compile(r'"""([^\n]*?)(?:"""|\n.*?""")\n', re.DOTALL)


def twin(text: str, source: str) -> str:
    """Return the blocking twin of a module's text, not yet formatted."""
    body = "".join(_blocking(text))
    first = _DOCSTRING.match(body)
    assert first, "a module begins by saying what it owns"
    return _HEAD.format(first=first[1], source=source) + body[first.end() :]


def _blocking(text: str) -> Iterator[str]:
    """Yield the tokens of the twin, and what stands between them."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    done = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
        if begin < done or not token.string.strip():
            continue
        yield text[done:begin]
        done = end
        match token.type, token.string:
            case tokenize.NAME, "async" | "await":
                done += 1  # the space behind it
            case tokenize.NAME, name:
                yield NAMES.get(name, name)
            case tokenize.STRING | tokenize.COMMENT, said:
                yield _say(said)
            case _, other:
                yield other
    yield text[done:]


def _say(text: str) -> str:
    for awaited, blocking in PHRASES.items():
        text = text.replace(awaited, blocking)
    return re.sub(r"\b\w+\b", lambda word: NAMES.get(word[0], word[0]), text)


def formatted(text: str, path: Path) -> str:
    """Return a module's text as the repository's formatter leaves it."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--quiet", "--fix-only"], ["format", "--quiet"]):
        command = [*ruff, *command, "--stdin-filename", str(path), "-"]
        text = subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout
    return text


def main() -> int:
    """Write the twins, or return 1 where `--check` is given and one of them is stale."""
    stale = []
    for source, target in TWINS.items():
        text = formatted(twin(source.read_text(encoding="utf-8"), source.name), target)
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(target.relative_to(PACKAGE.parents[1]))
        if "--check" not in sys.argv:
            target.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"stale: {', '.join(map(str, stale))}: edit the awaited twin and run `make format`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
