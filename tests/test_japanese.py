"""BertJapaneseTokenizer: transformers' ids, and the characters of each token; refused where a library is missing."""

import json
import pickle
import sys

import numpy as np
import pytest
from models import bert_tensors, refusal, save, tiny_config

import autorel_jax as ar
from autorel_jax.cli.convert import main as convert
from autorel_jax.families import family_of
from autorel_jax.text.tokens import load_tokenizer

CHARACTERS = "この映画はとても面白い。良です、終年代の1990.ABCabcfilmgodがハンカクガ"
WHOLE = ["映画", "とても", "面白", "##い", "##画", "##も", "film", "良い", "##m", "##9", "##0"]
PIECES = [*dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS, *WHOLE])]
MECAB = {"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "ipadic"}}
SETTINGS = [
    MECAB,
    MECAB | {"subword_tokenizer_type": "character"},
    MECAB | {"do_lower_case": True},
    MECAB | {"truncation_side": "left", "model_input_names": ["input_ids", "token_type_ids"]},
    {"word_tokenizer_type": "basic"},
    {"word_tokenizer_type": "basic", "do_lower_case": True},
]
TEXTS = [
    "この映画はとても面白い。",
    "ＡＢＣ㈱の映画、ﾊﾝｶｸ film GOOD",
    "とても  良い　映画 [MASK] です。[SEP]終",
    "",
    "ガガ が",
    "🎬映画",
    "1990年代の映画は…",
    "良い[MASK]映画",
]


def folder(path, settings, where="tokenizer_config.json"):
    """A directory of a tiny BERT with that tokenizer, whose class the file names."""
    save(path, bert_tensors(tiny_config(vocab_size=len(PIECES))), tiny_config(vocab_size=len(PIECES)))
    (path / "vocab.txt").write_text("\n".join(PIECES) + "\n", "utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    content = json.loads((path / where).read_text())
    (path / where).write_text(json.dumps(content | {"tokenizer_class": "BertJapaneseTokenizer"}))
    return path


@pytest.mark.parametrize("where", ["tokenizer_config.json", "config.json"])
def test_it_is_never_read_as_another_class(tmp_path, monkeypatch, where):
    monkeypatch.setitem(sys.modules, "transformers", None)  # not installed
    path = folder(tmp_path / "x", MECAB, where)
    said = refusal(load_tokenizer, path)
    assert "BertJapaneseTokenizer is read through transformers, which is not installed" in said
    assert "pip install 'autorel-jax[japanese]'" in said
    assert "is a WordPiece tokenizer; RoBERTa's is BPE" in refusal(load_tokenizer, path, family=family_of("roberta"))


def mecab():
    for name in ("transformers", "fugashi", "ipadic"):
        pytest.importorskip(name)


@pytest.mark.parity
def test_characters_by_hand(tmp_path):
    mecab()
    tokenizer = load_tokenizer(folder(tmp_path / "x", MECAB))
    (row,) = tokenizer(["㈱の  映画面白い"], max_length=20)
    assert row.pieces == ("[CLS]", "[UNK]", "[UNK]", "[UNK]", "の", "映画", "面白", "##い", "[SEP]")
    assert row.spans[1:-1] == ((0, 1), (0, 1), (0, 1), (1, 2), (4, 6), (6, 8), (8, 9))  # NFKC: ㈱ is (株)
    characters = load_tokenizer(folder(tmp_path / "y", MECAB | {"subword_tokenizer_type": "character"}))
    (row,) = characters(["映画"], max_length=20)
    assert (row.pieces[1:-1], row.spans[1:-1]) == (("映", "画"), ((0, 1), (1, 2)))


@pytest.mark.parity
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_ids_of_transformers(tmp_path, settings):
    mecab()
    import transformers

    path = folder(tmp_path / "x", settings)
    ours, theirs = load_tokenizer(path), transformers.AutoTokenizer.from_pretrained(path)
    ours.save(tmp_path / "out")
    (tmp_path / "out" / "config.json").write_text('{"model_type": "bert"}')
    written = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    again, pickled = load_tokenizer(tmp_path / "out"), pickle.loads(pickle.dumps(ours))
    assert type(written).__name__ == "BertJapaneseTokenizer"
    assert again.fingerprint == ours.fingerprint
    for text in TEXTS:
        expected = theirs([text], ["映画"], truncation=True, max_length=9)
        for tokenizer in (ours, again, pickled):
            (row,) = tokenizer([text], ["映画"], max_length=9)
            assert row.ids.tolist() == expected.input_ids[0]
            assert row.types.tolist() == expected.get("token_type_ids", [[0] * len(row.ids)])[0]
        (row,) = ours([text], max_length=99)
        assert row.ids.tolist() == theirs(text).input_ids == written(text).input_ids
        assert all(text[slice(*span)] for span in row.spans if span)


@pytest.mark.parity
def test_a_text_whose_characters_are_not_known_is_refused(tmp_path):
    mecab()
    tokenizer = load_tokenizer(folder(tmp_path / "x", MECAB | {"do_lower_case": True}))
    assert "'İ' cannot be told: BertJapaneseTokenizer changes the text" in refusal(tokenizer, ["İ"], max_length=9)


@pytest.mark.parity
def test_what_is_refused(tmp_path):
    mecab()
    said = refusal(
        load_tokenizer, folder(tmp_path / "a", {"word_tokenizer_type": "mecab"} | {"mecab_kwargs": {"mecab_dic": "x"}})
    )
    assert "BertJapaneseTokenizer" in said
    said = refusal(load_tokenizer, folder(tmp_path / "b", {"do_word_tokenize": False}))
    assert "do_word_tokenize=False" in said
    assert "cased=True cannot be set" in refusal(
        load_tokenizer, folder(tmp_path / "c", MECAB | {"do_lower_case": True}), True
    )


@pytest.mark.parity
def test_logits_and_convert(tmp_path):
    mecab()
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    path = folder(tmp_path / "x", MECAB)
    assert convert([str(path), str(tmp_path / "out")]) == 0
    model = transformers.AutoModelForSequenceClassification.from_pretrained(path).eval()
    with torch.no_grad():
        given = transformers.AutoTokenizer.from_pretrained(path)(TEXTS[0], return_tensors="pt")
        expected = model(**given).logits.numpy()
    for each in (path, tmp_path / "out"):
        classifier = ar.load(each)
        np.testing.assert_allclose(classifier.logits(classifier.batch([TEXTS[0]])), expected, rtol=0, atol=1e-5)
    from autorel_jax.export.write import export

    assert "has a tokenizer of Python code" in refusal(export, ar.load(path), tmp_path / "a.zip")
