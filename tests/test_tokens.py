"""tokens.py and tokenizer.py: ids as transformers gives them, words and spans of the original text."""

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tolerances import SUM_FLOAT64

from autorel_jax.errors import InputError
from autorel_jax.text.batches import pad
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.text.words import pool

FIXTURES = Path(__file__).parent / "fixtures"
VOCAB = FIXTURES / "vocab.txt"
SHARED = Path(__file__).parents[2] / "shared"
SENTENCES = (
    "The quiet film was almost never dull.",
    "  Two   good actors, one bad story…  ",
    "RE-READING the naïve Résumé isn't fun-ny!",
    "中文 and 中文x, river–bridge (old) 100€",
    "[SEP] the [MASK]ed film[SEP]was [CLS]",
    "a\u00a0b\u3000c\u200bd\u2028e \x0b f\x0bg\x85h \ufeff \u200b",
    "e\u0301tude cafe\u0301 A\u030aA ŞİŞ ŉ ẞ ﬁ 한글",
    "שלום עולם مرحبا 👩‍👩‍👧 👍🏽!",
    "\u0301\u0302 \u0300",
    "x" * 101 + " " + "x" * 100,
    "walking" * 30,
    "one\ttwo\r\nthree \ufffd\x00four",
)


@pytest.fixture(scope="module")
def uncased():
    return load_tokenizer(VOCAB)


@pytest.fixture(scope="module")
def cased(tmp_path_factory):
    path = tmp_path_factory.mktemp("cased") / "vocab.txt"
    path.write_text(VOCAB.read_text("utf-8") + "The\nTwo\nÉ\né\nI\n", "utf-8")
    return load_tokenizer(path)


def one(tokenizer, text, pair=None, max_length=512, **options):
    (row,) = tokenizer([text], None if pair is None else [pair], max_length=max_length, **options)
    return row


def own_words(row, segment=0):
    """The words of a text without the special tokens."""
    return [
        word
        for word, span, where in zip(row.words, row.word_spans, row.word_segments, strict=True)
        if span is not None and where == segment
    ]


def check(row, texts):
    """What holds for every row, whatever the text."""
    length, count = len(row.ids), len(row.words)
    assert len(row.types) == len(row.pieces) == len(row.word_index) == len(row.spans) == length
    assert len(row.word_spans) == len(row.word_segments) == count
    assert {row.ids.dtype, row.types.dtype, row.word_index.dtype} == {np.dtype(np.int32)}
    relevance = np.random.default_rng(0).normal(size=length)
    np.testing.assert_allclose(pool(relevance, row).sum(), relevance.sum(), rtol=0, atol=SUM_FLOAT64)
    assert (np.diff(row.word_index) >= 0).all()
    assert row.word_index.max() == count - 1
    for word, span, segment in zip(row.words, row.word_spans, row.word_segments, strict=True):
        assert word in ("[CLS]", "[SEP]") if span is None else word == texts[segment][slice(*span)]
    reached = {0: (0, 0), 1: (0, 0)}
    for place, span in enumerate(row.spans):
        word = row.word_index[place]
        assert (span is None) == (row.word_spans[word] is None)
        if span is None:
            assert row.pieces[place] == row.words[word]
            continue
        segment = row.types[place]
        assert segment == row.word_segments[word]
        assert row.word_spans[word][0] <= span[0] < span[1] <= row.word_spans[word][1]
        assert span >= reached[segment]
        reached[segment] = span
    for segment in (0, 1):
        spans = [s for s, at in zip(row.word_spans, row.word_segments, strict=True) if s and at == segment]
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


# --- words and spans


def test_by_hand(uncased):
    row = one(uncased, "The films, re-read!")
    assert row.pieces == ("[CLS]", "the", "film", "##s", ",", "r", "##e", "-", "read", "!", "[SEP]")
    assert row.words == ("[CLS]", "The", "films,", "re-read!", "[SEP]")
    assert row.word_spans == (None, (0, 3), (4, 10), (11, 19), None)
    assert row.word_segments == (0, 0, 0, 0, 0)
    assert row.word_index.tolist() == [0, 1, 2, 2, 2, 3, 3, 3, 3, 3, 4]
    assert row.spans[1:5] == ((0, 3), (4, 8), (8, 9), (9, 10))
    assert row.types.tolist() == [0] * 11
    assert (row.truncated, row.warnings) == (0, ())


def test_split_punctuation_by_hand(uncased):
    row = one(uncased, "The films, re-read! 中文x", split_punctuation=True)
    assert own_words(row) == ["The", "films", ",", "re", "-", "read", "!", "中", "文", "x"]
    assert row.words[0] == "[CLS]"
    check(row, ["The films, re-read! 中文x"])


def test_split_punctuation_keeps_dropped_characters_with_what_they_follow(uncased):
    text = "cafe\u0301, a\u200b! \u200b 한글?"
    row = one(uncased, text, split_punctuation=True)
    assert own_words(row) == ["cafe\u0301", ",", "a\u200b", "!", "\u200b", "한글", "?"]
    check(row, [text])


def test_pair_by_hand(uncased):
    row = one(uncased, "a film", "The end.")
    assert row.pieces == ("[CLS]", "a", "film", "[SEP]", "the", "end", ".", "[SEP]")
    assert row.types.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert row.words == ("[CLS]", "a", "film", "[SEP]", "The", "end.", "[SEP]")
    assert row.word_segments == (0, 0, 0, 0, 1, 1, 1)
    assert row.word_spans == (None, (0, 1), (2, 6), None, (0, 3), (4, 8), None)
    assert row.word_index.tolist() == [0, 1, 2, 3, 4, 5, 5, 6]


def test_given_words_stay_as_they_are(uncased):
    words = ["New film,", "", "\u200b", "good"]
    row = one(uncased, words, split_punctuation=True)
    assert own_words(row) == words
    assert row.word_spans == (None, (0, 9), (10, 10), (11, 12), (13, 17), None)
    relevance = pool(np.ones(len(row.ids)), row)
    assert relevance[2] == relevance[3] == 0
    check(row, [" ".join(words)])
    np.testing.assert_array_equal(row.ids, one(uncased, " ".join(words)).ids)


@pytest.mark.parametrize("words", [[], [""], ["", "a"], ("a", ""), ["a", "", "", "b"]], ids=repr)
def test_given_words_with_empty_ones(uncased, words):
    row = one(uncased, words)
    assert own_words(row) == list(words)
    check(row, [" ".join(words)])


def test_whitespace_and_dropped_characters(uncased):
    """A word ends where BERT sees a space, not at what BERT deletes, even if Python calls it a space."""
    text = "a\u00a0b\u3000c\u200bd\u2028e \x0b f\x0bg\x85h \u200b \ufffdi"
    row = one(uncased, text)
    assert own_words(row) == ["a", "b", "c\u200bd", "e", "f\x0bg\x85h", "\u200b", "\ufffdi"]
    assert pool(np.ones(len(row.ids)), row).tolist() == [1, 1, 1, 2, 1, 3, 0, 1, 1]


def test_special_tokens_in_the_text_belong_to_its_words(uncased):
    text = "good[SEP]film [MASK] [CLS]"
    row = one(uncased, text)
    assert row.pieces[1:-1] == ("good", "[SEP]", "film", "[MASK]", "[CLS]")
    assert own_words(row) == ["good[SEP]film", "[MASK]", "[CLS]"]
    assert row.word_spans[-2] == (21, 26)
    check(row, [text])


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("text", SENTENCES, ids=ascii)
def test_every_text_keeps_its_words(uncased, cased, text, split):
    for tokenizer in (uncased, cased):
        row = one(tokenizer, text, split_punctuation=split)
        check(row, [text])
        if not split:  # nothing but whitespace and characters that BERT deletes lies between the words
            rest = list(text)
            for start, end in filter(None, row.word_spans):
                rest[start:end] = " " * (end - start)
            assert not "".join(rest).strip()


CHARACTERS = "aAeEfilmthe .,'[]-#\t\n中文ßİéÅ한\u0301\u0323\u00a0\u200b\u200d\ufeff\x0b\x85\x1c\x00\ufffd👍🏽שمя"


def random_text(rng, length):
    def character():
        if rng.random() < 0.7:
            return rng.choice(CHARACTERS)
        code = rng.randrange(0x110000) if rng.random() < 0.3 else rng.randrange(0x3100)
        return " " if 0xD800 <= code < 0xE000 else chr(code)

    specials = ("[SEP]", "[MASK]", "[CLS]", "[UNK]")
    return "".join(rng.choice(specials) if rng.random() < 0.02 else character() for _ in range(length))


def test_random_unicode(uncased, cased):
    rng = random.Random(20)
    texts = [random_text(rng, rng.randrange(30)) for _ in range(600)]
    pairs = [random_text(rng, rng.randrange(30)) for _ in texts]
    stripping = load_tokenizer(VOCAB, cased=True)
    stripping._backend.model.normalizer.strip_accents = True
    for tokenizer in (uncased, cased, stripping):
        for split in (False, True):
            for length in (9, 500):
                rows = tokenizer(texts, pairs, max_length=length, split_punctuation=split)
                for text, pair, row in zip(texts, pairs, rows, strict=True):
                    check(row, [text, pair])
                    assert len(row.ids) <= length


def test_random_given_words(uncased):
    rng = random.Random(21)
    texts = [[random_text(rng, rng.randrange(4)) for _ in range(rng.randrange(8))] for _ in range(1500)]
    for words, row in zip(texts, uncased(texts, max_length=500), strict=True):
        assert own_words(row) == words
        check(row, [" ".join(words)])


def test_long_words(uncased):
    row = one(uncased, "x" * 100_000)
    assert row.pieces == ("[CLS]", "[UNK]", "[SEP]")  # WordPiece gives up beyond 100 characters
    row = one(uncased, "x-" * 50_000, max_length=64)
    assert (len(row.ids), row.truncated, len(row.words)) == (64, 100_000 - 62, 3)
    assert row.word_spans[1] == (0, 100_000)


# --- truncation


def test_truncation_lists_the_word_in_which_it_cuts(uncased):
    row = one(uncased, "walking films quietly \u200b end", max_length=5)
    assert row.pieces == ("[CLS]", "walk", "##ing", "film", "[SEP]")
    assert row.words == ("[CLS]", "walking", "films", "[SEP]")
    assert row.truncated == 1 + 2 + 1  # ##s, quiet, ##ly, end
    row = one(uncased, "walking films \u200b quietly", max_length=6)
    assert row.words == ("[CLS]", "walking", "films", "\u200b", "[SEP]")  # nothing of it is cut


@pytest.mark.parametrize(
    ("first", "second", "max_length", "kept"),
    [
        (5, 5, 13, (5, 5)),
        (5, 5, 12, (4, 5)),
        (5, 5, 11, (4, 4)),
        (2, 9, 9, (2, 4)),
        (9, 2, 9, (4, 2)),
        (9, 8, 10, (4, 3)),
        (8, 9, 10, (3, 4)),
        (9, 0, 5, (2, 0)),
        (3, 3, 4, (0, 1)),
    ],
)
def test_pairs_lose_the_longer_first(uncased, first, second, max_length, kept):
    row = one(uncased, "a " * first, "b " * second, max_length=max_length)
    assert (row.pieces.count("a"), row.pieces.count("b")) == kept
    assert row.truncated == first + second - sum(kept)


@pytest.mark.parametrize(("pairs", "least"), [(None, 3), (["b"], 4)])
def test_no_room(uncased, pairs, least):
    assert len(uncased(["a film"], pairs, max_length=least)[0].ids) == least
    with pytest.raises(InputError, match=rf"^max_length={least - 1} leaves no room for text; use at least {least}"):
        uncased(["a film"], pairs, max_length=least - 1)


# --- what is refused, what is warned of


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("", "The text is empty."),
        (" \n\t", "The text is empty."),
        ([], "The text is empty."),
        ("\u200b", "The text has no word piece: it holds nothing but characters that the tokenizer drops."),
    ],
)
def test_empty_text(uncased, text, warning):
    row = one(uncased, text)
    assert row.pieces == ("[CLS]", "[SEP]")
    assert row.warnings == (warning,)


def test_empty_pair(uncased):
    row = one(uncased, "", "a")
    assert row.pieces == ("[CLS]", "[SEP]", "a", "[SEP]")
    assert row.warnings == ("The first text is empty.",)
    assert one(uncased, "a", " ").warnings == ("The second text is empty.",)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a film", r"^texts is a str; give a list of texts"),
        (None, r"^texts is a NoneType"),
        (["a", None], r"^texts\[1\] is None; a text is a str or a sequence of str"),
        (["a", b"b"], r"^texts\[1\] is a bytes"),
        ([3.5], r"^texts\[0\] is a float"),
        ([{"a"}], r"^texts\[0\] is a set"),
        ([["a", 3]], r"^texts\[0\], word 1 is a int"),
        (["ok", "film \ud83d!"], r"^texts\[1\] has the lone surrogate U\+D83D at character 5"),
        ([["a", "\udc00"]], r"^texts\[0\] has the lone surrogate U\+DC00 at character 2"),
    ],
)
def test_what_is_no_text(uncased, texts, message):
    with pytest.raises(InputError, match=message) as caught:
        uncased(texts, max_length=16)
    assert "\n" not in str(caught.value)


def test_pairs_must_match(uncased):
    with pytest.raises(InputError, match=r"^Got 2 texts but 1 pairs"):
        uncased(["a", "b"], ["c"], max_length=16)
    with pytest.raises(InputError, match=r"^pairs\[0\] is None"):
        uncased(["a"], [None], max_length=16)


def test_no_texts_and_iterables(uncased):
    assert uncased([], max_length=16) == []
    rows = uncased((text for text in np.array(["a film", "the end"])), max_length=16)
    assert [own_words(row) for row in rows] == [["a", "film"], ["the", "end"]]


# --- pad


def test_pad(uncased):
    rows = uncased(["a film", "the"], ["b", "c"], max_length=16)
    batch = pad(rows, 8, 3, pad_id=7)
    assert batch.ids.shape == batch.mask.shape == batch.types.shape == (3, 8)
    assert {batch.ids.dtype, batch.mask.dtype, batch.types.dtype} == {np.dtype(np.int32)}
    assert batch.ids[0].tolist() == [*rows[0].ids, 7, 7]
    assert batch.mask.tolist() == [[1] * 6 + [0] * 2, [1] * 5 + [0] * 3, [0] * 8]
    assert batch.types[0].tolist() == [0, 0, 0, 0, 1, 1, 0, 0]
    assert (pad([], 4, 2).mask == 0).all()


def test_pad_needs_room(uncased):
    rows = uncased(["a film", "the"], max_length=16)
    for length, batch in ((3, 2), (8, 1)):
        with pytest.raises(ValueError, match=r"2 rows of up to 4 tokens do not fit"):
            pad(rows, length, batch)


# --- vocabularies


def test_vocabulary(uncased, cased):
    lines = VOCAB.read_text("utf-8").splitlines()
    assert (uncased.vocab_size, uncased.max_id) == (len(lines), len(lines) - 1)
    ids = {token: lines.index(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}
    assert [uncased.pad_id, uncased.unk_id, uncased.cls_id, uncased.sep_id, uncased.mask_id] == list(ids.values())
    assert (uncased.cased, uncased.why) == (False, "from vocab.txt: 'The' is not in it")
    assert (cased.cased, cased.why) == (True, "from vocab.txt: 'The' is in it")
    assert uncased.warnings == ()
    assert one(cased, "The ÉTUDE é É").pieces[1:4] == ("The", "[UNK]", "é")
    assert one(uncased, "The É").pieces[1:-1] == ("the", "e")


def test_cased_can_be_overridden(tmp_path, cased):
    forced = load_tokenizer(VOCAB, cased=True)
    assert (forced.cased, forced.why) == (True, "as asked (cased=True)")
    assert one(forced, "The é").pieces[1:-1] == ("[UNK]", "[UNK]")
    cased.save(tmp_path)
    lowered = load_tokenizer(tmp_path, cased=False)
    assert one(lowered, "The é").pieces[1:-1] == ("the", "e")  # strip_accents=None follows lowercase
    assert load_tokenizer(tmp_path).why == "from tokenizer_config.json: do_lower_case is false"
    (tmp_path / "tokenizer_config.json").unlink()
    assert load_tokenizer(tmp_path).why == "from tokenizer.json: lowercase is false"
    assert load_tokenizer(tmp_path / "tokenizer.json").cased


def test_settings_of_a_directory(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(VOCAB.read_bytes() + "é\nfilm中\n".encode())
    (tmp_path / "special_tokens_map.json").write_text('{"unk_token": {"content": "[unused1]"}}')
    settings = {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 1e30}))
    lines = (tmp_path / "vocab.txt").read_text("utf-8").splitlines()
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<user>": len(lines) + 1, "<url>": len(lines)}))
    tokenizer = load_tokenizer(tmp_path)
    assert one(tokenizer, "É film中 <url>ŵ").pieces[1:-1] == ("é", "film中", "<url>", "[unused1]")
    assert (tokenizer.max_id, tokenizer.positions) == (len(lines) + 1, 512)
    assert tokenizer.why == "from tokenizer_config.json: do_lower_case is true"
    tokenizer.save(tmp_path / "again")
    again = load_tokenizer(tmp_path / "again")
    for text in SENTENCES:
        np.testing.assert_array_equal(one(tokenizer, text).ids, one(again, text).ids)


def test_truncation_and_padding_of_the_file_are_dropped(tmp_path, uncased):
    uncased.save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    content["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {
        "strategy": {"Fixed": 32},
        "direction": "Left",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    content["post_processor"] = None
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    row = one(load_tokenizer(tmp_path), "the quiet river and the bridge")
    assert row.pieces == ("[CLS]", "the", "quiet", "river", "and", "the", "bridge", "[SEP]")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("blank", [0, 3])
def test_line_ends_and_byte_order_mark(tmp_path, uncased, end, mark, blank):
    lines = VOCAB.read_text("utf-8").splitlines()
    (tmp_path / "vocab.txt").write_text(mark + end.join([*lines, *[""] * blank, ""]), "utf-8", newline="")
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.vocab_size, tokenizer.warnings) == (uncased.vocab_size, ())
    np.testing.assert_array_equal(one(tokenizer, SENTENCES[0]).ids, one(uncased, SENTENCES[0]).ids)


def test_repeated_and_empty_lines(tmp_path):
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "film", "", "bar", "film", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(lines) + "\n", "utf-8")
    tokenizer = load_tokenizer(tmp_path / "vocab.txt")
    assert tokenizer.warnings == (
        "vocab.txt: line 5 repeats 'film'; its last line, 8, counts.",
        "vocab.txt: line 6 is empty.",
    )
    assert (tokenizer.vocab_size, tokenizer.max_id, tokenizer.mask_id) == (9, 8, None)
    assert one(tokenizer, "film films bar").ids.tolist() == [2, 7, 7, 8, 6, 3]
    tokenizer.save(tmp_path / "again")
    for source in ("again", "again/vocab.txt"):
        again = load_tokenizer(tmp_path / source)
        assert one(again, "film films bar").ids.tolist() == [2, 7, 7, 8, 6, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n\n", "is empty"),
        (b"PK\x03\x04\x00\x00", "is binary, not a vocab.txt"),
        (b"[PAD]\n[UNK]\n\xff\xfe\n", "line 3: not UTF-8"),
        (b"[UNK]\n[SEP]\n[MASK]\nfilm\n", r"lacks \[PAD\], \[CLS\], which BERT needs.*: pad_token, cls_token"),
        (b"just a text", "lacks"),
    ],
)
def test_what_is_no_vocabulary(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    for source in (path, tmp_path):
        with pytest.raises(InputError, match=message) as caught:
            load_tokenizer(source)
        assert "vocab.txt" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", "{", "is not a tokenizer.json"),
        ("tokenizer.json", "[1]", "is not a tokenizer.json"),
        ("tokenizer_config.json", "{", "not readable as JSON"),
        ("tokenizer_config.json", "[]", "holds a JSON list"),
        ("tokenizer_config.json", '{"cls_token": 3}', "special token 3"),
        ("tokenizer_config.json", '{"cls_token": "<s>"}', r"lacks <s> \(cls_token in tokenizer_config.json\)"),
        ("special_tokens_map.json", '{"sep_token": "</s>"}', r"lacks </s> \(sep_token in special_tokens_map.json\)"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": "y"}}', "malformed"),
        ("added_tokens.json", '{"<url>": 12345}', "'<url>' as id 12345"),
    ],
)
def test_what_is_no_tokenizer(tmp_path, name, content, message):
    (tmp_path / "vocab.txt").write_bytes(VOCAB.read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


def test_other_kinds_of_tokenizer(tmp_path, uncased):
    from tokenizers import Tokenizer, models, normalizers

    Tokenizer(models.BPE({"a": 0}, [])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match="holds a BPE tokenizer; BERT's is WordPiece"):
        load_tokenizer(tmp_path)
    uncased.save(tmp_path)
    own = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    own.normalizer = normalizers.Sequence([normalizers.Replace("ø", "o"), normalizers.Lowercase()])
    own.save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.cased, tokenizer.why) == (False, "from the normalizer in tokenizer.json")
    assert one(tokenizer, "tø The").pieces[1:-1] == ("to", "the")
    assert not load_tokenizer(tmp_path, cased=False).cased
    with pytest.raises(InputError, match="cased=True cannot be set"):
        load_tokenizer(tmp_path, cased=True)


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_tokenizer(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"neither tokenizer\.json nor vocab\.txt"):
        load_tokenizer(tmp_path)


def test_import_is_light():
    slow = "('tokenizers', 'transformers', 'jax')"
    code = f"import sys, autorel_jax.text.tokens; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- parity with transformers


def bert_tokenizer(directory):
    transformers = pytest.importorskip("transformers")
    (directory / "config.json").write_text('{"model_type": "bert"}')
    return transformers.AutoTokenizer.from_pretrained(directory, local_files_only=True)


def assert_parity(ours, theirs, texts, pairs, lengths=(8, 17, 512)):
    for length in lengths:
        for second in (None, pairs):
            expected = theirs(texts, second, truncation="longest_first", max_length=length)
            for row, text in enumerate(ours(texts, second, max_length=length)):
                assert text.ids.tolist() == expected["input_ids"][row], ascii(texts[row])
                assert text.types.tolist() == expected["token_type_ids"][row]


@pytest.mark.parity
@pytest.mark.parametrize("which", ["uncased", "cased"])
def test_ids_are_those_of_transformers(tmp_path, request, which):
    ours = request.getfixturevalue(which)
    ours.save(tmp_path)
    theirs = bert_tokenizer(tmp_path)
    assert theirs.model_max_length == 512
    rng = random.Random(22)
    texts = [*SENTENCES, *(random_text(rng, rng.randrange(1, 40)) for _ in range(800))]
    pairs = [random_text(rng, rng.randrange(1, 40)) for _ in texts]
    assert_parity(ours, theirs, texts, pairs)
    assert_parity(load_tokenizer(tmp_path), theirs, texts, pairs, lengths=(17,))
    words = [text.split() or [""] for text in texts]
    expected = theirs(words, is_split_into_words=True)["input_ids"]
    assert [row.ids.tolist() for row in ours(words, max_length=512)] == expected


@pytest.mark.parity
@pytest.mark.parametrize("accents", [None, False, True])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("ideographs", [False, True])
def test_settings_mean_what_they_mean_in_transformers(tmp_path, accents, lower, ideographs):
    (tmp_path / "vocab.txt").write_bytes(VOCAB.read_bytes() + "é\nÉ\nE\nThe\nf中\n".encode())
    settings = {"do_lower_case": lower, "strip_accents": accents, "tokenize_chinese_chars": ideographs}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    texts = ["The THE é É e\u0301 f中 中文", *SENTENCES]
    assert_parity(load_tokenizer(tmp_path), bert_tokenizer(tmp_path), texts, texts[::-1])


@pytest.mark.parity
def test_added_tokens_as_in_transformers(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(VOCAB.read_bytes())
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<Url>": len(VOCAB.read_text("utf-8").splitlines())}))
    texts = ["a <Url>, <url> or <URL>", "no<Url>ne"]
    assert_parity(load_tokenizer(tmp_path), bert_tokenizer(tmp_path), texts, texts[::-1])


@pytest.mark.parity
def test_repeated_lines_as_in_transformers(tmp_path):
    lines = VOCAB.read_text("utf-8").splitlines()
    lines = [*lines[:100], "film", "the", "", *lines[100:], "film", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(lines) + "\n", "utf-8")
    theirs = bert_tokenizer(tmp_path)
    assert_parity(load_tokenizer(tmp_path), theirs, [*SENTENCES, "the films"], [*SENTENCES, "film"])
    load_tokenizer(tmp_path).save(tmp_path / "again")
    theirs = bert_tokenizer(tmp_path / "again")
    assert_parity(load_tokenizer(tmp_path), theirs, [*SENTENCES, "the films"], [*SENTENCES, "film"])


@pytest.mark.parity
def test_ids_are_those_of_the_slow_tokenizer(uncased):
    """BERT's original algorithm in Python; special tokens inside texts and Unicode versions aside."""
    legacy = pytest.importorskip("transformers.models.bert.tokenization_bert_legacy")
    theirs = legacy.BertTokenizerLegacy(str(VOCAB))
    rng = random.Random(23)
    texts = [text for text in SENTENCES if "[" not in text]
    texts += ["".join(rng.choice(CHARACTERS.replace("[", "")) for _ in range(25)) for _ in range(500)]
    for text in texts:
        assert one(uncased, text).ids.tolist() == theirs(text)["input_ids"], ascii(text)


# --- a real vocabulary


@pytest.fixture(scope="module")
def minilm():
    path = SHARED / "models" / "minilm-sst2"
    if not path.is_dir():
        pytest.skip("the shared model minilm-sst2 is not on this machine")
    return path


@pytest.mark.shared
def test_real_vocabulary(minilm):
    tokenizer = load_tokenizer(minilm)
    assert (tokenizer.vocab_size, tokenizer.max_id, tokenizer.positions) == (30522, 30521, 512)
    assert not tokenizer.cased
    row = one(tokenizer, "Unbelievably good – the naïve café film!")
    assert row.ids[:2].tolist() == [101, 4895]
    assert own_words(row) == ["Unbelievably", "good", "–", "the", "naïve", "café", "film!"]
    rng = random.Random(24)
    texts = [random_text(rng, rng.randrange(60)) for _ in range(500)]
    for split in (False, True):
        for text, row in zip(texts, tokenizer(texts, max_length=500, split_punctuation=split), strict=True):
            check(row, [text])


@pytest.mark.shared
@pytest.mark.parity
def test_real_vocabulary_as_in_transformers(minilm):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(minilm, local_files_only=True)
    rng = random.Random(25)
    texts = [*SENTENCES, *(random_text(rng, rng.randrange(1, 60)) for _ in range(500))]
    assert_parity(load_tokenizer(minilm), theirs, texts, texts[::-1])
