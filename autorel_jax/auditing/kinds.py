"""Kinds: a candidate -> the names of what tells little of a text's meaning: punctuation, ids, sources, templates.

Used by shortcuts.py.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np

from autorel_jax.auditing.candidates import Text
from autorel_jax.auditing.forms import BEGINS, ENDS, Candidate, places
from autorel_jax.text.tokens import Tokenizer

PATTERNS = {  # of a whole unit in small letters; the first that fits
    "url": re.compile(r"[a-z]+://\S*|www\.\S*|\S+\.(com|org|net)(/\S*)?"),
    "e-mail": re.compile(r"\S+@\S+\.\S+"),
    "account": re.compile(r"@\S+"),
    "tag": re.compile(r"#\S+"),
    "number": re.compile(r"\d[\d.,:/-]*"),
    "hash": re.compile(r"(?=.*\d)[0-9a-f]{8,}"),
    "id": re.compile(r"(?=.*\d)(?=.*[^\W\d_])[\w.:/-]+"),
}
MOSTLY = 0.8  # of its texts have it in the template, or are from the source that it names


def kinds(
    candidate: Candidate,
    texts: np.ndarray,
    corpus: Sequence[Text],
    templates: Sequence[Candidate],
    tokenizer: Tokenizer,
) -> Iterator[str]:
    """What a candidate is, if anything that has a name."""
    yield from dict.fromkeys(name for word in candidate.words for name in of_word(word))
    from_there = sum(set(candidate.words) <= corpus[place].source for place in texts.tolist())
    if from_there >= MOSTLY * len(texts):
        yield "source"
    if candidate.form in (BEGINS, ENDS) or any(within(candidate, texts, corpus, template) for template in templates):
        yield "template"
    rows = tokenizer(list(candidate.words), max_length=64)
    ids = [[number for number, span in zip(row.ids.tolist(), row.spans, strict=True) if span] for row in rows]
    if any(of_word and set(of_word) == {tokenizer.unk_id} for of_word in ids):
        yield "unknown to the tokenizer"
    special = {tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id}
    if any(number in special for of_word in ids for number in of_word):
        yield "special token"


def of_word(word: str) -> Iterator[str]:
    """What a unit looks like."""
    if not any(map(str.isalnum, word)):
        yield "punctuation"
        return
    yield from itertools.islice((name for name, one in PATTERNS.items() if one.fullmatch(word)), 1)


def within(candidate: Candidate, texts: np.ndarray, corpus: Sequence[Text], template: Candidate) -> bool:
    """Whether most of the texts that hold it have it in a template."""
    if not set(candidate.words) <= set(template.words):
        return False
    return sum(bool(places(template, corpus[place].units)) for place in texts.tolist()) >= MOSTLY * len(texts)
