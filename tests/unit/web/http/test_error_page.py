"""The page of an error: readable, harmless and on its own."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from runcast.web.http.error_page import error_page
from runcast.web.http.messages import Reply

HOSTILE = "</p><script>alert(1)</script><p onclick='x'>&amp;\"\udcff"


class Elements(HTMLParser):
    """Collects what is in a page."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.texts: list[str] = []
        self.feed(reply.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_texts_are_texts():
    """Whatever is in a title, a paragraph or a link, there is no element or attribute of it."""
    reply = error_page(404, HOSTILE, [HOSTILE], links=[(HOSTILE, HOSTILE)])
    page = Elements(reply)

    assert {"script", "onclick"}.isdisjoint([*page.tags, *page.attributes])
    assert page.tags.count("p") == 3
    assert sum(text == HOSTILE.replace("\udcff", "?") for text in page.texts) == 3


def test_policy_names_the_style():
    """The policy allows the style that the page has, by its hash, and nothing else but a form."""
    reply = error_page(401, "No token", [], ask_token=True)
    policy = dict(reply.headers)["Content-Security-Policy"]
    style = re.search(rb"<style>(.*?)</style>", reply.body, re.DOTALL)

    assert style is not None
    assert base64.b64encode(hashlib.sha256(style[1]).digest()).decode() in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("ask_token", [True, False])
def test_field(ask_token: bool):
    """There is a field for the token where one is asked for."""
    page = Elements(
        error_page(401, "No token", ["Why."], [("WWW-Authenticate", "Bearer")], ask_token=ask_token)
    )

    assert ("input" in page.tags) is ask_token
    assert "Why." in page.texts
