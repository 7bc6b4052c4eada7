"""Tokens of byte-level BPE and Unigram: the ids of transformers, and words and characters of the original text."""

import json
import shutil
import warnings
from types import SimpleNamespace

import pytest
from family_models import SENTENCES, save_tokenizer, tokenizer_of, write_family
from models import VOCAB, refusal
from tokenizers import Tokenizer

from autorel_jax.classifier import load
from autorel_jax.faithfulness.run import tell_of_pad
from autorel_jax.families import family_of
from autorel_jax.text.characters import apart, joined, other_words
from autorel_jax.text.tokens import load_tokenizer

LSTRIP = {"content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}
TYPES = ("roberta", "xlm-roberta", "camembert")
each = pytest.mark.parametrize("model_type", TYPES)
TEXTS = [
    *SENTENCES,
    "",
    " a film",
    "two  spaces and a trail  ",
    "\u00a0a\u00a0film\u00a0",
    "cafe\u0301 nai\u0308ve",  # accents apart
    "😀😀 good 👩‍👩‍👧",
    "\ufb01ne \u2581film \u2581",
    "a\tgood\nfilm",
    "电影 film",
    "a <mask> film</s> <pad> good",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a tokenizer's files for each model type."""
    return tmp_path_factory.mktemp("tokenizers")


@pytest.fixture(scope="module")
def tokenizers(folder):
    return {model_type: tokenizer_of(folder / model_type, model_type) for model_type in TYPES}


@each
def test_words_and_characters(tokenizers, model_type):
    for text in TEXTS:
        (tokens,) = tokenizers[model_type]([text], max_length=200)
        assert tokens.words == ("<s>", *text.split(), "</s>")
        assert [span is None for span in tokens.spans] == [
            place in (0, len(tokens.ids) - 1) for place in range(len(tokens.ids))
        ]
        covered = set()
        for word, span in zip(tokens.word_index, tokens.spans, strict=True):
            if span is None:
                continue
            start, end = tokens.word_spans[word]
            held = text[slice(*span)]
            assert held == held.strip() or not held.strip()  # no space at either end, unless it is nothing else
            if held.strip():
                assert start <= span[0] < span[1] <= end
                covered.update(range(*span))
        assert covered == {place for place, character in enumerate(text) if not character.isspace()} or "\u2581" in text
        assert list(tokens.word_index) == sorted(tokens.word_index)


def test_tokens_of_one_character_share_its_span(tokenizers):
    (tokens,) = tokenizers["roberta"](["电 e\u0301"], max_length=20)
    assert tokens.spans == (None, *[(0, 1)] * 3, (1, 2), (2, 3), (3, 4), (3, 4), None)
    assert tokens.words == ("<s>", "电", "e\u0301", "</s>")


def test_marks_of_spaces_hold_no_character(tokenizers):
    """A lone mark is of its word, and the characters of that are counted once."""
    tokens = {name: tokenizer(["a 电", "é"], max_length=20) for name, tokenizer in tokenizers.items()}
    space, word = tokens["roberta"]  # Ġ is a real space here
    assert ("Ġ", (1, 2)) in zip(space.pieces, space.spans, strict=True)
    for model_type in ("xlm-roberta", "camembert"):
        space, word = tokens[model_type]
        assert ("▁", (2, 2)) in zip(space.pieces, space.spans, strict=True)
        assert (word.pieces[1:-1], word.spans[1:-1]) == (("▁", "é"), ((0, 0), (0, 1)))
        assert word.word_index.tolist() == [0, 1, 1, 2]


@each
def test_pairs_have_two_separators_and_one_type(tokenizers, model_type):
    tokenizer = tokenizers[model_type]
    (pair,) = tokenizer(["a film"], ["good"], max_length=50)
    first, second = (list(tokenizer([text], max_length=50)[0].ids[1:-1]) for text in ("a film", "good"))
    assert list(pair.ids) == [0, *first, 2, 2, *second, 2]
    assert not pair.types.any()
    assert pair.words == ("<s>", "a", "film", "</s>", "</s>", "good", "</s>")
    assert pair.word_segments == (0, 0, 0, 0, 0, 1, 1)


@each
def test_ids_alone_are_the_same(tokenizers, model_type):
    tokenizer = tokenizers[model_type]
    pairs = TEXTS[::-1]
    for arguments in ([TEXTS], [TEXTS, pairs]):
        encoded = tokenizer.encode(*arguments, max_length=14)
        rows = tokenizer(*arguments, max_length=14)
        assert encoded.ids.tolist() == [number for row in rows for number in row.ids]
        assert encoded.first.tolist() == [len(row.ids) for row in rows]  # all of one type


@each
def test_given_words_stay(tokenizers, model_type):
    words = ["a good", "film", "", "😀!"]
    (tokens,) = tokenizers[model_type]([words], max_length=50)
    assert tokens.words == ("<s>", *words, "</s>")
    assert 3 not in tokens.word_index


@each
def test_punctuation_apart(tokenizers, model_type):
    (tokens,) = tokenizers[model_type](["(a film!) don't"], max_length=50, split_punctuation=True)
    assert "".join(tokens.words[1:-1]) == "(afilm!)don't"
    assert {"film", "("} <= set(tokens.words)
    (whole,) = tokenizers[model_type](["(a film!) don't"], max_length=50)
    assert list(whole.ids) == list(tokens.ids)


def test_words_by_hand():
    assert list(apart("(ab!) c", [(0, 5), (6, 7)])) == [(0, 1), (1, 3), (3, 4), (4, 5), (6, 7)]
    assert joined([(0, 2), (3, 5), (6, 8), (9, 10)], [(0, 2), (3, 7), (9, 10)]) == [(0, 2), (3, 8), (9, 10)]
    assert joined([(0, 2), (2, 3)], [(0, 3)]) == [(0, 3)]
    assert joined([(0, 1)], [(0, 1), (1, 2)]) == [(0, 1)]  # whitespace at the end
    assert other_words("a b!! c", [(0, 1), (2, 3), (3, 5), (6, 7)], split=True) == [(0, 1), (2, 3), (3, 5), (6, 7)]
    assert other_words("a b", [(0, 3)], split=False) == [(0, 3)]


def test_special_ids(tokenizers):
    for tokenizer in tokenizers.values():
        found = tokenizer.cls_id, tokenizer.pad_id, tokenizer.sep_id, tokenizer.unk_id, tokenizer.mask_id
        assert found == (0, 1, 2, 3, 4)


@each
def test_what_is_written_is_read_back(tokenizers, model_type, tmp_path):
    tokenizers[model_type].save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"tokenizer.json", "tokenizer_config.json"}
    again = load_tokenizer(tmp_path, family=family_of(model_type))
    for row, expected in zip(again(TEXTS, max_length=99), tokenizers[model_type](TEXTS, max_length=99), strict=True):
        assert (list(row.ids), row.spans, row.words) == (list(expected.ids), expected.spans, expected.words)


def test_files_that_are_not_read(tmp_path):
    family = family_of("roberta")
    (tmp_path / "vocab.json").write_text("{}")
    said = refusal(load_tokenizer, tmp_path, family=family)
    assert "AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER)" in said
    assert "tokenizer.json" in refusal(load_tokenizer, tmp_path / "vocab.json", family=family)
    (tmp_path / "merges.txt").write_text("no merge")
    assert "vocab.json and merges.txt are not those of a BPE" in refusal(load_tokenizer, tmp_path, family=family)
    (tmp_path / "merges.txt").unlink()
    (tmp_path / "bpe.codes").write_text("")
    assert "BERTweet" in refusal(load_tokenizer, tmp_path, family=family)
    save_tokenizer(tmp_path / "unigram", "xlm-roberta")
    said = refusal(load_tokenizer, tmp_path / "unigram", family=family)
    assert "holds a Unigram tokenizer; RoBERTa's is BPE" in said


SETTINGS = [
    None,
    {"tokenizer_class": "RobertaTokenizer"},
    {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True},
    {"tokenizer_class": "PreTrainedTokenizerFast"},
    {"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": False},
]


@pytest.mark.parity
@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_space_before_the_first_word(tmp_path, settings, in_file):
    transformers = pytest.importorskip("transformers")
    path = save_tokenizer(tmp_path / "tokenizer", "roberta")
    raw = json.loads((path / "tokenizer.json").read_text())
    raw["pre_tokenizer"]["add_prefix_space"] = in_file
    (path / "tokenizer.json").write_text(json.dumps(raw))
    if settings is not None:
        (path / "tokenizer_config.json").write_text(json.dumps(settings))
    expected = transformers.AutoTokenizer.from_pretrained(path)("film").input_ids
    assert load_tokenizer(path, family=family_of("roberta"))(["film"], max_length=9)[0].ids.tolist() == expected


@pytest.mark.parametrize(
    ("settings", "first", "warned"),
    [({}, "film", True), ({"add_prefix_space": False}, "film", False), ({"add_prefix_space": True}, "Ġfilm", False)],
)
def test_silence_about_the_space_before_the_first_word_is_told(tmp_path, settings, first, warned):
    path = save_tokenizer(tmp_path / "tokenizer", "roberta")
    raw = json.loads((path / "tokenizer.json").read_text())
    raw["pre_tokenizer"]["add_prefix_space"] = True
    (path / "tokenizer.json").write_text(json.dumps(raw))
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_tokenizer(path, family=family_of("roberta"))
    assert "".join(tokenizer(["film"], max_length=9)[0].pieces[1:-1]) == first
    said = "does not say add_prefix_space: it is false, as in transformers; tokenizer.json has true"
    assert tokenizer.warnings == (f"tokenizer_config.json {said}",) * warned


@each
def test_a_pad_token_in_a_text_is_told(tokenizers, model_type):
    tokenizer = tokenizers[model_type]
    for texts in ((["a <pad> film"],), (["a film"], ["<pad>"])):
        (row,) = tokenizer(*texts, max_length=50)
        assert row.ids.tolist().count(tokenizer.pad_id) == 1
        (warning,) = row.warnings
        assert warning.startswith("The text holds <pad>, which transformers skips when it numbers positions")
    (cut,) = tokenizer(["a film <pad>"], max_length=3)  # before it
    assert tokenizer.pad_id not in cut.ids
    assert cut.warnings == ()
    (row,) = tokenizer(["a film"], max_length=50)
    assert row.warnings == ()


@pytest.mark.parametrize("model_type", [*TYPES, "mpnet", "bert"])
def test_padding_in_place_of_words_is_told(tmp_path, model_type):
    """In an evaluation; BERT numbers positions along the text, as transformers does."""
    classifier = SimpleNamespace(tokenizer=tokenizer_of(tmp_path, model_type))

    def told(perturbations, protocol="curves"):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            tell_of_pad(
                SimpleNamespace(classifier=classifier, tokens=dict.fromkeys(perturbations), protocols=[protocol])
            )
        return [str(one.message) for one in said]

    assert told(["mask", "unknown"]) == told(["pad"], "people") == []
    if model_type == "bert":
        assert told(["pad"]) == []
    else:
        (said,) = told(["mask", "pad"])
        assert said.startswith("perturb=pad: transformers skips <pad> when it numbers this model's positions")


def test_only_where_transformers_skips_it(tmp_path):
    assert "[PAD]" in load_tokenizer(VOCAB)(["a [PAD] film"], max_length=9)[0].pieces[1:-1]
    assert load_tokenizer(VOCAB)(["a [PAD] film"], max_length=9)[0].warnings == ()
    (warning,) = tokenizer_of(tmp_path / "mpnet", "mpnet")(["a <pad> film"], max_length=9)[0].warnings
    assert warning.startswith("The text holds <pad>")


@pytest.mark.parity
@each
def test_ids_of_transformers(tokenizers, folder, model_type, tmp_path):
    transformers = pytest.importorskip("transformers")
    path, ours = folder / model_type, tokenizers[model_type]
    ours.save(tmp_path / "written")
    shutil.copy(path / "config.json", tmp_path / "written")
    for folder in (path, tmp_path / "written"):
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        for text, pair in zip(TEXTS, TEXTS[::-1], strict=True):
            assert ours([text], max_length=99)[0].ids.tolist() == theirs(text).input_ids
            # As lists: transformers takes an empty string alone for no second text.
            assert [ours([text], [pair], max_length=199)[0].ids.tolist()] == theirs([text], [pair]).input_ids
            cut = theirs([text], [pair], truncation=True, max_length=11).input_ids
            assert [ours([text], [pair], max_length=11)[0].ids.tolist()] == cut


def as_vocab_and_merges(folder, tmp_path, mask):
    """The files of an old RoBERTa, from a tokenizer.json; `mask` is what special_tokens_map.json says of <mask>."""
    Tokenizer.from_file(str(folder / "roberta" / "tokenizer.json")).model.save(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    if mask is not None:
        (tmp_path / "special_tokens_map.json").write_text(json.dumps({"mask_token": mask}))
    return load_tokenizer(tmp_path, family=family_of("roberta"))


def test_vocab_and_merges(tokenizers, folder, tmp_path):
    ours = as_vocab_and_merges(folder, tmp_path, LSTRIP)
    for row, expected in zip(ours(TEXTS, max_length=99), tokenizers["roberta"](TEXTS, max_length=99), strict=True):
        assert (list(row.ids), row.spans, row.words) == (list(expected.ids), expected.spans, expected.words)


@pytest.mark.parity
@pytest.mark.parametrize("mask", [None, "<mask>", LSTRIP], ids=str)
def test_vocab_and_merges_as_transformers_reads_them(tokenizers, folder, tmp_path, mask):
    transformers = pytest.importorskip("transformers")
    ours = as_vocab_and_merges(folder, tmp_path, mask)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert ours([text], max_length=99)[0].ids.tolist() == theirs(text).input_ids


@pytest.mark.parametrize(
    ("model_type", "changes"), [("roberta", {"pad_token_id": 0}), ("camembert", {"pad_token_id": 2})]
)
def test_positions_that_stand_still_at_another_id(model_type, changes, tmp_path):
    """transformers numbers positions by the config's pad_token_id: at a token of every text, if it is not the pad."""
    folder = write_family(tmp_path / "model", model_type)
    values = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(values))
    said = refusal(load, folder)
    assert f"pads with the id 1, but the model's positions stand still at the id {changes['pad_token_id']}" in said
