"""Hooks of mkdocs: pages of this folder link to files beside it, and notebooks are pages.

A link that leaves docs/ leads to a copy of its file in the site, under files/. A notebook is executed where the
environment has AUTOREL_NOTEBOOKS=1, so that its page has its output. Used by mkdocs.yml.
"""

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
DOCS, NOTEBOOKS = "docs", "notebooks"
LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the notebooks, and every file that a page links to, directly or by another such file."""
    todo = [f"{DOCS}/{file.src_uri}" for file in files.documentation_pages()]
    todo += [str(path.relative_to(ROOT)) for path in sorted((ROOT / NOTEBOOKS).glob("*.ipynb"))]
    known = set(todo)
    while todo:
        home = todo.pop()
        if not home.startswith(f"{DOCS}/"):
            files.append(generated(home, config))
        if home.endswith((".md", ".ipynb")):
            new = {target for target in targets(text_of(home), home) if not target.startswith(f"{DOCS}/")} - known
            known |= new
            todo += sorted(new)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leads the links of a page of docs/ to where their files are in the site."""
    home = f"{DOCS}/{page.file.src_uri}"
    return relinked(markdown, home) if (ROOT / home).is_file() else markdown


def generated(home: str, config: Any) -> File:
    """A file beside docs/ as one of the site."""
    if home.endswith((".md", ".ipynb")):
        return File.generated(config, place(home), content=relinked(text_of(home), home))
    return File.generated(config, place(home), abs_src_path=str(ROOT / home))


@functools.cache
def text_of(home: str) -> str:
    """A file as Markdown."""
    if not home.endswith(".ipynb"):
        return (ROOT / home).read_text("utf-8")
    notebook = nbformat.read(ROOT / home, as_version=4)
    if os.environ.get("AUTOREL_NOTEBOOKS") == "1":
        from nbclient import NotebookClient

        NotebookClient(notebook, timeout=1800, kernel_name="python3").execute()
    return "\n\n".join(cells(notebook))


def cells(notebook: Any) -> Iterator[str]:
    """The cells of a notebook as Markdown, with the output that it has."""
    for cell in notebook.cells:
        yield cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                yield f'<img alt="" src="data:image/png;base64,{data["image/png"].strip()}">'
            elif "text/html" in data:
                yield "".join(line.strip() for line in data["text/html"].splitlines())
            elif text := output.get("text") or data.get("text/plain"):
                yield f"```text\n{text.rstrip()}\n```"


def targets(text: str, home: str) -> Iterator[str]:
    """The files that a file links to, by their names from the root."""
    for match in LINK.finditer(text):
        target = resolved(match[2], home)
        if (ROOT / target).is_file():
            yield target


def relinked(text: str, home: str) -> str:
    """A file whose links lead to places in the site; one to a folder is its words alone."""

    def link(match: re.Match) -> str:
        target = resolved(match[2], home)
        if (ROOT / target).is_dir():
            return match[1]
        to = os.path.relpath(place(target), PurePosixPath(place(home)).parent)
        return f"[{match[1]}]({to}{match[3] or ''})"

    return LINK.sub(link, text)


def resolved(link: str, home: str) -> str:
    """A link as a name from the root."""
    return os.path.normpath(PurePosixPath(home).parent / link)


def place(home: str) -> str:
    """Where a file is in the site."""
    if home.startswith(f"{DOCS}/"):
        return home.removeprefix(f"{DOCS}/")
    if home == "README.md":
        return "index.md"
    if home.endswith(".ipynb"):
        return str(PurePosixPath(home).with_suffix(".md"))
    return f"files/{home}"
