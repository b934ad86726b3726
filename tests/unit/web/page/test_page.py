"""The files of the page: their names, their addresses, and what they must not hold."""

import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from runcast.web.page import asset, element_module, list_page, run_page, with_imports_below

PAGES = {"list": list_page, "run": run_page}
ADDRESS = re.compile(r'(?:href|src)="([^"]*/runs/-/assets/([^"/]+))"')
IMPORTED = re.compile(r'^import \{([^}]+)\} from "\./([^"]+)";$', re.MULTILINE)
EXPORTED = re.compile(r"^export (?:async )?(?:class|const|function\*?|let) ([\w$]+)", re.MULTILINE)
IMPORT = re.compile(rb'(?:from|import) "\./(?:assets/)?([^"]+)"')


def assets() -> dict[str, tuple[str, bytes]]:
    """Return what the pages name, and what that imports, by name."""
    found: dict[str, tuple[str, bytes]] = {}
    names = [name for page in PAGES.values() for _, name in ADDRESS.findall(page("").decode())]
    names += [name.decode() for name in IMPORT.findall(element_module())]
    while names:
        name = names.pop()
        if name not in found:
            one = asset(name)
            assert one is not None, name
            found[name] = one
            names += [other.decode() for other in IMPORT.findall(one[1])]
    return found


def test_all_that_is_named_is_there():
    """Each address in a page and each import in a module names an asset of the right type."""
    found = assets()

    assert len(found) > 6
    types = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
    assert {name: one[0] for name, one in found.items()} == {
        name: types[name.rpartition(".")[2]] for name in found
    }
    assert all(body for _, body in found.values())


def test_names_are_of_one_version():
    """All assets have the same hash in their names, so a page never mixes two versions."""
    assert len({name.split(".")[1] for name in assets()}) == 1


@pytest.mark.parametrize(
    "name",
    ["", "page.css", "page.000000000000.css", "run.html", "__init__.py", "../page/page.css", "nothing.js"],
)
def test_other_names(name: str):
    """There is nothing under a name without the hash, with another one, or that is no asset's."""
    assert asset(name) is None


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_root(page: Callable[[str], bytes]):
    """All addresses are below the place where the runs are mounted; a strange one breaks nothing."""
    root = "/a \"b'<c>&$d"
    html = page(root).decode()

    assert "<c>" not in html
    addresses = [unescape(address) for address, _ in ADDRESS.findall(html)]
    assert len(addresses) > 5
    assert all(address.startswith(f"{root}/runs/-/assets/") for address in addresses)


def test_element_names_all_modules():
    """The module of the element names each module that it is made of, and none twice."""
    named = IMPORT.findall(element_module())
    found = assets()
    imported = {other for name in named for other in IMPORT.findall(found[name.decode()][1])}

    assert len(named) == len(set(named)) > 20
    assert imported < set(named)


def test_query_of_a_module():
    """What a module is loaded with goes along to those that it imports, and cannot end their names."""
    module = with_imports_below(
        b'import "./assets/a.js"; import "./b.js?old";', "/runs", 'token="; alert(1)//'
    )

    assert module == (
        b'import "/runs/a.js?token=%22;%20alert(1)//"; import "/runs/b.js?old?token=%22;%20alert(1)//";'
    )


class Inline(HTMLParser):
    """Collects what a Content-Security-Policy without `unsafe-inline` refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [name for name in names if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_nothing_inline(page: Callable[[str], bytes]):
    """No page has a script, a style or a handler in itself."""
    parser = Inline()
    parser.feed(page("").decode())

    assert parser.found == []


def test_inline_is_found():
    """The check finds each kind."""
    parser = Inline()
    parser.feed("<style>p {}</style><script>1</script><p style='x' onclick='y'>")

    assert parser.found == ["style", "script", "style", "onclick"]


def test_modules_stay_small():
    """No module of the page is longer than those of Python may be."""
    modules = [file for file in files("runcast.web.page").iterdir() if file.name.endswith(".js")]
    lines = {file.name: file.read_text(encoding="utf-8").count("\n") for file in modules}

    assert len(lines) > 50
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_all_that_is_imported_is_exported():
    """Each name that a module imports is one that the other exports: one that is not stops a whole page."""
    modules = {
        file.name: file.read_text(encoding="utf-8")
        for file in files("runcast.web.page").iterdir()
        if file.name.endswith(".js")
    }
    exported = {name: set(EXPORTED.findall(text)) for name, text in modules.items()}
    imported = [
        (name, word.split(" as ")[0].strip(), other)
        for name, text in modules.items()
        for words, other in IMPORTED.findall(text)
        for word in words.split(",")
    ]

    assert len(imported) > 150
    assert [one for one in imported if one[1] and one[1] not in exported[one[2]]] == []


def test_text_nodes_only():
    """No module uses what would read a text as markup, a script or a style."""
    sinks = rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|cssText"
    scripts = {name: body for name, (_, body) in assets().items() if name.endswith(".js")}

    assert len(scripts) >= 28
    assert [name for name, body in scripts.items() if re.search(sinks, body)] == []
