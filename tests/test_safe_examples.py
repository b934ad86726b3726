"""No example and no snippet of the docs teaches a hole: what people copy must be safe as it stands.

Pages: text from elsewhere never becomes markup or code. Python: no shell and no HTML is made of
formatted text, no debugger listens for everybody. Shells: no secret stands in `ps`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.pages import parse

ROOT = Path(__file__).parents[1]
EXAMPLES = [path for path in sorted((ROOT / "examples").rglob("*")) if path.suffix in (".html", ".py")]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

# In any language, for HTML and its scripts also stand within strings of Python.
ANYWHERE = {
    "markup made of text": r"innerHTML|outerHTML|insertAdjacentHTML|document\s*\.\s*write"
    r"|createContextualFragment|DOMParser|srcdoc|dangerouslySetInnerHTML|v-html|\$\([^)]*\)\.(?:html|append|prepend)\(|setHTMLUnsafe",
    "code made of text": r"\beval\s*\(|new\s+Function\b|set(?:Timeout|Interval)\(\s*[\"'`]|javascript:",
    "a template that escapes nothing": r"\|\s*safe\b|mark_safe|\bMarkup\("
    r"|autoescape\s*(?:=\s*False|off|false)|render_template_string\(\s*f",
    "a debugger for everybody": r"debug\s*=\s*True[^()]*0\.0\.0\.0|0\.0\.0\.0[^()]*debug\s*=\s*True"
    r"|--debug\b.*0\.0\.0\.0|0\.0\.0\.0.*--debug\b",
    "an identity that nobody checks": r"verify\s*=\s*False|\bcurl\b.*\s(?:-k|--insecure)\b|CERT_NONE",
    "code in data": r"pickle\.loads?\(|yaml\.load\(",
    "a process id from a request": r"os\.kill\([^)]*(?:request|form|args)\b",
    "a token in `ps`": r"^\s*(?:\S*\$ )?(?:.*\|\s*)?(?:runcast|curl)\b.*(?:[?&]token=|--token[ =])",
}
SHELLS = {"sh", "bash", "/bin/sh", "/bin/bash", "zsh", "dash"}


def of_python(text: str) -> Iterator[str]:
    """Yield what the syntax tree shows: shells and HTML that are made of formatted text."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # a part, or lines with their prompts
        if re.search(r"shell\s*=\s*True", text) and re.search(r"\bf[\"']", text):
            yield "a shell with formatted text"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            shell = any(
                one.arg == "shell" and isinstance(one.value, ast.Constant) and one.value.value is True
                for one in node.keywords
            )
            shell = shell or ast.unparse(node.func) in ("os.system", "os.popen")
            if shell and not (node.args and isinstance(node.args[0], ast.Constant)):
                yield "a shell with formatted text"
        elif isinstance(node, ast.List | ast.Tuple) and len(node.elts) > 2:
            first, option, script = node.elts[:3]
            named = isinstance(first, ast.Constant) and first.value in SHELLS
            if named and isinstance(option, ast.Constant) and option.value == "-c":
                if not isinstance(script, ast.Constant | ast.Name):
                    yield "a shell with formatted text"
        elif isinstance(node, ast.JoinedStr):
            said = "".join(str(one.value) for one in node.values if isinstance(one, ast.Constant))
            values = [one.value for one in node.values if isinstance(one, ast.FormattedValue)]
            if re.search(r"</?[a-z]\w*[ />]", said) and not all(
                "escape" in ast.unparse(one) for one in values
            ):
                yield "markup made of text"


def holes(text: str, language: str) -> set[str]:
    """Return which holes a text has."""
    found = {name for name, pattern in ANYWHERE.items() if re.search(pattern, text, re.MULTILINE)}
    return found | set(of_python(text) if language == "python" else ())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path: Path):
    """No example has a hole."""
    assert holes(path.read_text(), {".py": "python"}.get(path.suffix, "")) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets(page: Path):
    """Nor has a snippet of the docs, in whatever language."""
    parsed = parse(page)
    found = {f"{page.name}:{block.line}": holes(block.text, block.language) for block in parsed.blocks}
    inline = re.findall(r"`([^`\n]+)`", "\n".join(text for _, text in parsed.sections))
    found |= {span: holes(span, "sh") & {"a token in `ps`"} for span in inline}

    assert {where: names for where, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("html", "output.innerHTML += event.data"),
        ("html", "line.outerHTML = text"),
        ("html", "list.insertAdjacentHTML('beforeend', text)"),
        ("html", "document.write(text)"),
        ("html", "$('#output').append(event.data)"),
        ("html", "setTimeout('go()', 1)"),
        ("html", "eval(event.data)"),
        ("html", "<p>{{ output|safe }}</p>"),
        ("html", "{% autoescape off %}{{ output }}{% endautoescape %}"),
        ("python", "return mark_safe(output)"),
        ("python", "return f'<pre>{output}</pre>'"),
        ("python", "PAGE = 'x.innerHTML = event.data'"),
        ("python", "subprocess.run(f'ls {path}', shell=True)"),
        ("python", "cast.stream('ls ' + path, shell=True)"),
        ("python", "cast.stream('ls {}'.format(path), shell=True)"),
        ("python", "cast.stream('ls %s' % path, shell=True)"),
        ("python", "cast.stream(request.args['command'], shell=True)"),
        ("python", "cast.stream(['bash', '-c', f'ls {path}'])"),
        ("python", "os.system(f'ls {path}')"),
        ("python", "app.run(host='0.0.0.0', debug=True)"),
        ("python", "os.kill(int(request.form['pid']), 9)"),
        ("python", "requests.get(url, verify=False)"),
        ("sh", "flask run --debug --host 0.0.0.0"),
        ("sh", "make | runcast push 'http://laptop:8765/?token=abc'"),
        ("sh", "$ runcast ls --token abc"),
        ("sh", "curl 'http://laptop:8765/runs?token=abc'"),
    ],
)
def test_is_found(language: str, text: str):
    """Each kind of hole is found."""
    assert holes(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("html", "output.textContent = event.data; output.append(`${event.data}\\n`)"),
        ("html", "<p>{{ output }}</p>"),
        ("python", "cast.stream('echo 1 && sleep 3 && echo 2', shell=True)"),
        ("python", "cast.stream(['ls', path])"),
        ("python", "return f'<pre>{html.escape(output)}</pre>'"),
        ("python", "return f'{number} < {other}'"),
        ("python", "app.run(host='127.0.0.1', debug=True)"),
        ("sh", "RUNCAST_TOKEN=abc runcast ls --server http://laptop:8765"),
    ],
)
def test_is_no_hole(language: str, text: str):
    """What is right is not called a hole."""
    assert holes(text, language) == set()
