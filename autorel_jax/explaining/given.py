"""Given: what a program passes to `explain` -> its columns, texts, pairs and labels; or what is wrong.

Used by explainer.py, and of references by config.py.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from autorel_jax.errors import InputError, InputWarning, one_line

READ_AS_PAIRS = (
    "texts are lists of two strings, of which one has a space; they are read as pairs of texts. Give pairs as tuples "
    "or as pairs=[…], and given words without spaces."
)
Columns = dict[str, list[Any] | None]  # texts, pairs and labels, each one for every text, or None


def columns_of(texts: Any, pairs: Any, labels: Any) -> Columns:
    """Texts, pairs and labels as lists of one length.

    Texts that are two strings each, at least one of which has a space, are pairs, as sentence-transformers takes them:
    no list of words has one. Lists may also be meant as given words, so of them it is said.

    Raises:
      InputError: a value that is not a text, with its place; lists of different lengths.
    """
    if texts is None:
        raise InputError("texts is None; expected a string or a list of texts.")
    columns: Columns = {"texts": column_of(texts, "texts")}
    count = len(columns["texts"])
    columns |= {name: beside(values, name, count) for name, values in (("pairs", pairs), ("labels", labels))}
    for name in ("texts", "pairs"):
        for place, text in enumerate(columns[name] or []):
            check_text(text, f"{name}[{place}]", optional=name == "pairs")
    return paired(columns)


def beside(values: Iterable[Any] | str | None, name: str, count: int) -> list[Any] | None:
    """What goes with `count` texts, as a list in their order; an InputError for another number of them."""
    column = column_of(values, name)
    if column is not None and len(column) != count:
        raise InputError(f"{count} texts but {len(column)} {name}; give one for each text.")
    return column


def texts_of(values: Iterable[Any] | str | None, name: str, optional: bool = False) -> tuple[Any, ...]:
    """Single texts as a tuple, none for None; an InputError for what is none.

    `optional`: None and NaN, which is how pandas writes it, are accepted in place of a text; both become None.
    """
    texts = tuple(column_of(values, name) or ())
    if optional:
        texts = tuple(None if isinstance(text, float) and text != text else text for text in texts)
    for place, text in enumerate(texts):
        check_text(text, f"{name}[{place}]", optional)
        if looks_paired(text):
            raise InputError(f"{name}[{place}] looks like a pair of texts; expected single texts, or lists of words.")
    return texts


def column_of(values: Iterable[Any] | str | None, name: str) -> list[Any] | None:
    """Texts, or what goes with them, as a list in their order, never by an index; one string is a list of one."""
    if isinstance(values, np.ndarray) and not values.ndim:
        values = values.item()
    if isinstance(values, set | frozenset):
        raise InputError(f"{name} is a {type(values).__name__}, which has no order; give a list.")
    if values is None or isinstance(values, str):
        return None if values is None else [values]
    if isinstance(values, bytes | Mapping) or hasattr(values, "columns") or not isinstance(values, Iterable):
        raise InputError(f"{name} is a {type(values).__name__}; expected a string or a list with one for each text.")
    return list(values)


def check_text(text: Any, where: str, optional: bool) -> None:
    """Raises InputError for what is neither a string nor a list of them; `optional`: None is fine."""
    if isinstance(text, str) or (optional and text is None):
        return
    if isinstance(text, list | tuple) and all(isinstance(word, str) for word in text):
        return
    raise InputError(
        f"{where} is {one_line(repr(text), 40)} ({type(text).__name__}); a text is a string or a list of words."
    )


def looks_paired(text: Any) -> bool:
    """Whether it is two strings with a space in one of them."""
    return isinstance(text, list | tuple) and len(text) == 2 and any(len(part.split()) > 1 for part in text)


def paired(columns: Columns) -> Columns:
    """The columns, with texts that are pairs divided into texts and pairs."""
    texts = columns["texts"]
    if columns["pairs"] is not None:
        return columns
    if not any(map(looks_paired, texts)):
        if texts and all(isinstance(text, tuple) and len(text) == 2 for text in texts):
            raise InputError(
                "texts are tuples of two words, which may be pairs or given words; give the second texts as pairs=[…], "
                "or given words as lists."
            )
        return columns
    for place, text in enumerate(texts):
        if isinstance(text, str) or len(text) != 2:
            first = next(i for i, one in enumerate(texts) if looks_paired(one))
            raise InputError(
                f"texts[{first}] looks like a pair of texts, but texts[{place}] does not; give the second texts as "
                "pairs=[…], one for each text."
            )
    if not all(isinstance(text, tuple) for text in texts):
        warnings.warn(READ_AS_PAIRS, InputWarning, stacklevel=4)  # where `explain` was called
    first, second = (list(column) for column in zip(*texts, strict=True))
    return columns | {"texts": first, "pairs": second}


def target_of(target: Any, contrast: Sequence[Any] | None, texts: int) -> Any:
    """The target of options, of which `contrast` is another spelling; None where neither is given.

    Raises:
      InputError: both; or a list of two labels for two texts, which may be a contrast or a label for each.
    """
    if contrast is not None:
        if target is not None:
            raise InputError(f"target={target!r} and contrast={contrast!r} exclude each other; give one.")
        if isinstance(contrast, str) or not isinstance(contrast, Sequence):
            raise InputError(f"contrast={contrast!r}: expected two labels, such as ('positive', 'negative').")
        return tuple(contrast)
    if hasattr(target, "tolist") and np.ndim(target):  # NumPy's and pandas' lists
        target = list(target)
    if isinstance(target, list) and len(target) == texts > 1:
        raise InputError(
            f"target={target!r} with {texts} texts may be a contrast or a label for each text; give "
            "contrast=(a, b), or labels=[…] with target='given'."
        )
    return target
