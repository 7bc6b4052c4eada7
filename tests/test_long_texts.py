"""Long texts are tokenized in chunks: ids, words, characters and counts are those of the whole; memory stays small."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from family_models import tokenizer_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from models import VOCAB

from autorel_jax.text import long, tokens

ROOT = Path(__file__).parents[1]
WORDS = [
    "good",
    "film",
    "walking",
    "[SEP]",
    "[MASK]",
    "</s>",
    "<mask>",
    "don't",
    "it's",
    "中文",
    "한글",
    "e\u0301",
    "ﬁ",
    "😀",
]
WORDS += ["x", "-", "...", "\u200b", "\u00ad", "a" * 40, "Ab1" * 30, "é" * 25, "12345", "日本語" * 9]
WHOLE = 100_000  # tokens: more than a text has, as where windows read all of it
SPACES = [" ", "  ", "\n", "\t", "\x0b", "\r\n", "\u00a0", "\u3000", "\u2028", " \u0301"]
TEXT = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(["", *SPACES])), max_size=60).map(
    lambda parts: "".join(map("".join, parts))
)


@pytest.fixture(scope="module", params=["bert", "roberta", "xlm-roberta"])
def tokenizer(request, tmp_path_factory):
    """WordPiece, byte-level BPE, Unigram."""
    return tokenizer_of(tmp_path_factory.mktemp("long") / "tokenizer", request.param)


@pytest.fixture(params=["right", "left"])
def cut(request, tokenizer, monkeypatch):
    """The same, where that side of a text that is too long is cut off."""
    monkeypatch.setattr(tokenizer, "truncation_side", request.param)
    return tokenizer


def chunked(patch):
    """Short chunks, and words that count as very long."""
    patch.setattr(tokens, "LONG", 64)
    patch.setattr(long, "CHUNK", 32)
    patch.setattr(long, "AROUND", 48)
    patch.setattr(long, "ONE_WORD", long.re.compile(r"[^\W_]{220,}"))
    patch.setattr(long, "KEPT", 204)


def same(found, expected):
    for field in fields(expected):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            np.testing.assert_array_equal(one, other, field.name)
        else:
            assert one == other, field.name


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=TEXT, pair=st.none() | TEXT, length=st.integers(5, 40) | st.just(WHOLE), split=st.booleans())
@example(text="don't [SEP] \u200b\x0b film" * 60, pair=None, length=WHOLE, split=True)
@example(text="good " + "日本語" * 9 + "\x0bgood" + " film" * 30, pair=None, length=5, split=False)
@example(text="日本語" * 12 + "\x0bgood", pair=None, length=5, split=False)
@example(text="a" * 500, pair=None, length=8, split=False)
@example(text="good " + "Ab1" * 200 + " film " * 30, pair=None, length=8, split=False)
@example(text="film " * 40 + "x" * 700 + "!" + "film " * 40, pair="x" * 700, length=9, split=True)
@example(text="bad [SEP] <mask> good" * 30, pair="<mask>" * 60, length=9, split=False)
def test_chunks_give_what_the_whole_gives(cut, text, pair, length, split):
    tokenizer = cut
    texts, pairs = [text], None if pair is None else [pair]
    expected = tokenizer(texts, pairs, max_length=length, split_punctuation=split)
    encoded = tokenizer.encode(texts, pairs, max_length=length)
    with pytest.MonkeyPatch.context() as patch:
        chunked(patch)
        same(tokenizer(texts, pairs, max_length=length, split_punctuation=split)[0], expected[0])
        same(tokenizer.encode(texts, pairs, max_length=length), encoded)


@pytest.mark.parametrize("left", [False, True])
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=TEXT, room=st.integers(1, 30))
def test_a_stretch_of_either_end(tokenizer, left, text, room):
    """The tokens that are read, in the characters of the text, and the number of all."""
    encode = tokenizer._encode
    (whole,) = encode([text])
    with pytest.MonkeyPatch.context() as patch:
        chunked(patch)
        read = long.stretch(encode, text, room, tokenizer._one_unknown, left=left)
    (part,) = encode([read.text])
    assert len(part.ids) + read.more == len(whole.ids)
    kept = slice(-room, None) if left else slice(room)
    assert part.ids[kept] == whole.ids[kept]
    assert [read.span(span) for span in part.offsets[kept]] == whole.offsets[kept]


def test_a_text_is_cut_into_many_chunks(tokenizer):
    text = "a good film, don't look now 😀\n" * 20_000
    calls = []

    def encode(texts):
        calls.extend(map(len, texts))
        return tokenizer._encode(texts)

    read = long.stretch(encode, text, 510, False)
    assert len(read.text) < long.LONG
    assert max(calls) < long.LONG
    assert read.more > 100_000


@pytest.mark.parametrize("end", ["", " film"])
def test_one_word_of_many_letters(end):
    """To BERT it is one [UNK], of which the library sees few letters."""
    tokenizer = tokens.load_tokenizer(VOCAB)
    text = "good " + "Zz9" * 400_000 + end
    (row,) = tokenizer([text], max_length=8)
    assert row.pieces == ("[CLS]", "good", "[UNK]", *(["film"] if end else []), "[SEP]")
    assert row.words[2] == "Zz9" * 400_000
    assert row.spans[2] == row.word_spans[2] == (5, 1_200_005)
    assert len(tokenizer._stretch(text, 6, False).text) < 2000


MEMORY = """
import resource, sys
sys.path.insert(0, "tests")
from family_models import tokenizer_of
from pathlib import Path
tokenizer = tokenizer_of(Path(sys.argv[1]), sys.argv[2])
tokenizer(["a good film"], max_length=64)
text = {"words": "a good, witty film; don't look now. ", "word": "Zz9"}[sys.argv[3]]
text = text * (20_000_000 // len(text))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(row,) = tokenizer([text], max_length=64)
assert len(row.ids) <= 64
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / len(text), row.truncated)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["words", "word"])
@pytest.mark.parametrize("model_type", ["bert", "roberta", "xlm-roberta"])
def test_memory_of_20_megabytes(tmp_path, model_type, kind):
    """At most 20 bytes for each byte of the text; measured 0 to 3. One word of a Unigram is read as a whole."""
    if (model_type, kind) == ("xlm-roberta", "word"):
        pytest.skip("a Unigram may be cut at white space alone")
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "t"), model_type, kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[0]) < 20
