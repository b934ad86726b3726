"""Pages of Markdown, as far as the docs use it: headings, text, fenced blocks and the marks before them."""

import itertools
import re
from pathlib import Path
from typing import NamedTuple


class Block(NamedTuple):
    """A fenced block: where it begins, under which heading, what its mark says, what it holds."""

    page: Path
    line: int
    heading: str
    mark: str
    language: str
    text: str


class Page(NamedTuple):
    """A page: its headings, each with the text below it, and its fenced blocks, which are not text."""

    sections: list[tuple[str, str]]
    blocks: list[Block]


def parse(path: Path) -> Page:
    """Read a page of Markdown, as much of it as the docs use."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    blocks = []
    lines = iter(enumerate(path.read_text().splitlines(), 1))
    before = ""
    for number, line in lines:
        if line.lstrip().startswith("```"):
            fence = line.strip().rstrip("abcdefghijklmnopqrstuvwxyz-")
            inside = itertools.takewhile(lambda numbered, fence=fence: numbered[1].strip() != fence, lines)
            text = "".join(f"{one}\n" for _, one in inside)
            mark = before.strip().removeprefix("<!-- ").removesuffix(" -->") if "<!--" in before else ""
            blocks.append(Block(path, number, sections[-1][0], mark, line.strip("` "), text))
        elif line.startswith("#"):
            sections.append((line.lstrip("#").strip().replace("`", ""), []))
        else:
            sections[-1][1].append(line)
        before = line
    return Page([(heading, "\n".join(text)) for heading, text in sections], blocks)


def anchors(page: Page) -> set[str]:
    """Return what one may link to within a page, as GitHub names it."""
    headings = [heading for heading, _ in page.sections]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
