"""The docs as a site, with search and the API from docstrings: `make docs`. The pages are the same files."""

import re
import tomllib
from pathlib import Path
from typing import Any

import runcast

_ROOT = Path(__file__).parents[2]
_REPOSITORY = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
_OUTSIDE = re.compile(r"\]\((?:\.\./)+([A-Z]+\.md)")  # README, CONTRIBUTING …

project = "runcast"
copyright = "the runcast authors"
release = runcast.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
html_theme = "furo"
html_title = f"runcast {release}"
myst_heading_anchors = 4
autodoc_typehints = "none"  # signatures have them
autodoc_member_order = "bysource"
napoleon_use_ivar = True  # attributes that only a docstring names

_KINDS = {"Learn": "tutorial", "Do": "howto", "Look up": "reference", "Understand": "explanation"}


def _complete(app: Any, name: str, source: list[str]) -> None:
    """Have links out of docs/ lead to the repository, and the first page name all others for the sidebar."""
    source[0] = _OUTSIDE.sub(rf"]({_REPOSITORY}/blob/main/\1", source[0])
    if name == root_doc:
        for caption, folder in _KINDS.items():
            extra = "site/api\n" if folder == "reference" else ""
            head = f":hidden:\n:glob:\n:caption: {caption}"
            source[0] += f"\n```{{toctree}}\n{head}\n\n{extra}{folder}/*\n```\n"
        source[0] += "\n```{toctree}\n:hidden:\n\nglossary\n```\n"


def setup(app: Any) -> None:
    """Connect to the build."""
    app.connect("source-read", _complete)
