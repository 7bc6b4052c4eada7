"""Save: records of results -> a page, one .html file that is written whole or not at all.

Used by report/output.py for `--output report.html`, and by cli/report.py. Public as `ar.save_report`.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import warnings
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from autorel_jax.errors import InputError, InputWarning
from autorel_jax.evaluation.collection import Collection
from autorel_jax.evaluation.compare import add_other
from autorel_jax.files import disk_faults, new_text
from autorel_jax.report import view
from autorel_jax.report.page.pack import pack

LARGEST = 300 * 2**20  # characters of data, roughly; a browser's strings end at 512 million
LABEL = "label"  # the column that is taken for the label where none is named
# In this order, inside one function: each file uses what those before it define.
SCRIPTS = (
    *(
        "data",
        "dom",
        "state",
        "ngrams",
        "table",
        "words",
        "coloured",
        "reading",
        "inside",
        "filters",
        "texts",
        "export",
    ),
    *("compare", "main"),
)
STYLES = ("page",)


def save_report(
    results: Iterable[Any],
    path: str | Path,
    *,
    label_column: str | None = None,
    level: str = view.WORD,
    compare: Iterable[Any] | None = None,
) -> None:
    """Writes one page that shows results over many texts: its words, its texts, and each text by itself.

    Args:
      results: Explanations, or records as `ar.read_results` gives them; one text may be there for several targets and
        by several methods, of one model.
      path: of the .html file, in a folder that exists.
      label_column: the column of the records that has the true labels, as the model's names or numbers; by default
        `label`, if it is there and has labels of the model.
      level: "word" or "token", which is shown first.
      compare: results of another model for the same texts, or some of them, which are shown beside these.

    Raises:
      InputError: the results lack what a page needs (for a label column also logits and probabilities), are of several
        models, have other rules under one name, or are too many for one page; there is no such label column; no text is
        in both; or the file cannot be written.
    """
    view.check_level(level)
    collection = gather(results, label_column)
    if compare is not None:
        add_other(collection, gather(compare, None, "the results to compare"))
        check_size(collection)
    with new_text(Path(path)) as stream:
        notes = collection.name_labels(label_column is not None)
        for note in notes:
            warnings.warn(note, InputWarning, stacklevel=2)
        text = page(collection, level, notes)
        with disk_faults(Path(path)):
            stream.write(text)


def gather(results: Iterable[Any], label_column: str | None, where: str = "the results") -> Collection:
    """Results as a Collection; its labels are not named yet."""
    collection = Collection()
    for result in results:
        record = result if isinstance(result, dict) else result.to_dict()
        if not len(collection):
            collection.label_column = label_column or (LABEL if LABEL in record else None)
        collection.add(record, where=where)
        check_size(collection)
    return collection


def check_size(collection: Collection) -> None:
    """Raises InputError for results that make a page which a browser cannot open."""
    words, pieces = len(collection.words.names), len(collection.tokens.names)
    scores = sum(len(series.scores) + len(series.token_scores) for series in collection.series.values())
    size = sum(series.inside for series in collection.series.values()) + 20 * (words + pieces) + 6 * scores
    if size > LARGEST:
        raise InputError(
            f"{len(collection)} texts make a page of over {LARGEST // 2**20} MB, which a browser cannot open. Explain "
            "into a .parquet file, and make reports of some of its texts: autorel report --rows 1:20000, or --where."
        )


def page(collection: Collection, level: str, notes: list[str]) -> str:
    """The page of a Collection whose labels are named.

    Args:
      collection: the results.
      level: "word" or "token".
      notes: what the page says of the labels, from `Collection.name_labels`.
    """
    made = pack(collection, level, notes)
    data = json.dumps(made, ensure_ascii=False, allow_nan=False, default=str, separators=(",", ":"))
    # Inside <script>, text ends at "</script" alone; "<!--" would begin a comment. JSON says "<" in another way too.
    data = data.replace("<", "\\u003c")
    model = view.visible(str((collection.model or {}).get("name", "")))
    title = f"Which words decided{f': {model}' if model else ''}"
    return template().render(title=title, data=Markup(data), style=style(), script=script(), hash=hash_of)


@functools.cache
def style() -> Markup:
    """The style sheet."""
    return Markup("".join(file(f"{name}.css") for name in STYLES))


@functools.cache
def script() -> Markup:
    """The script: all files in one function, so that they share names and leave none behind."""
    return Markup('"use strict";\n(() => {\n' + "".join(file(f"{name}.js") for name in SCRIPTS) + "})();\n")


def file(name: str) -> str:
    """A file of this folder."""
    return resources.files("autorel_jax.report.page").joinpath(name).read_text(encoding="utf-8")


def hash_of(content: str) -> str:
    """How a content-security policy names what stands in the page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


@functools.cache
def template() -> Any:
    """page.html, compiled once."""
    environment = Environment(
        loader=PackageLoader("autorel_jax", "report/page"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html")
