"""Tokenizers without a tokenizer.json: the models of SentencePiece that XLM-R, CamemBERT, DeBERTa and ALBERT have."""

import io
import json
import sys

import pytest
from family_models import SENTENCES
from models import refusal
from piece_models import CASES, field, piece, piece_model, trained_pieces, with_class
from test_family_tokens import TEXTS

from autorel_jax.text.pieces import USER_DEFINED, read_pieces
from autorel_jax.text.tokens import load_tokenizer

each = pytest.mark.parametrize("model_type", CASES)
MORE = [*TEXTS, "in 1999, it was 20, (good) well-made.", "A FILM É", "``good''", "a\u3000b ½ … ﬁ ①"]


@pytest.fixture(scope="module")
def pieces():
    return trained_pieces()


def folder(path, model_type, pieces, *rest):
    """A directory with a model of SentencePiece alone."""
    path.mkdir(exist_ok=True)
    name, family, first = CASES[model_type]
    (path / name).write_bytes(piece_model(pieces, first, *rest))
    (path / "config.json").write_text(json.dumps({"model_type": model_type}))
    return path, family


def ids_of(tokenizer):
    return {piece: number for number, piece in tokenizer.pieces.items()}


def test_ids_by_hand(tmp_path):
    """The layouts of the four classes, over the same pieces."""
    pieces = [("▁a", -1.0), ("▁", -2.0), ("b", -3.0)]
    expected = {
        "xlm-roberta": ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁", "b", "<mask>"],
        "camembert": [
            "<s>NOTUSED",
            "<pad>",
            "</s>NOTUSED",
            "<unk>",
            "<unk>NOTUSED",
            "<s>",
            "</s>",
            "▁a",
            "▁",
            "b",
            "<mask>",
        ],
        "deberta-v2": ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "▁a", "▁", "b", "[MASK]"],
        "albert": ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a", "▁", "b"],
    }
    for model_type, names in expected.items():
        path, family = folder(tmp_path / model_type, model_type, pieces)
        tokenizer = load_tokenizer(path, family=family)
        assert ids_of(tokenizer) == {name: number for number, name in enumerate(names)}
        (tokens,) = tokenizer(["a  bé"], max_length=9)
        unknown = family.tokens.special["unk_token"]
        assert tokens.pieces[1:-1] == ("▁a", "▁", "b", unknown)
        mark = (2, 3) if model_type == "deberta-v2" else (3, 3)  # DeBERTa keeps spaces, the others put marks
        assert tokens.spans[1:-1] == ((0, 1), mark, (3, 4), (4, 5))
        assert tokens.words[1:-1] == ("a", "bé")


def test_scores_decide(tmp_path):
    pieces = [("▁", -1.0), ("a", -1.0), ("b", -1.0), ("ab", -1.5), ("▁ab", -4.0)]
    path, family = folder(tmp_path / "x", "xlm-roberta", pieces)
    (tokens,) = load_tokenizer(path, family=family)(["ab"], max_length=9)
    assert tokens.pieces[1:-1] == ("▁", "ab")  # -2.5 against -4 and -3


def test_a_digit_and_its_comma_are_two_pieces_of_albert(tmp_path):
    pieces = [("▁", -1.0), ("9", -5.0), (",", -5.0), ("9,", -1.0), ("▁9", -5.0)]
    for model_type, expected in (("albert", ("▁9", ",")), ("xlm-roberta", ("▁", "9,"))):
        path, family = folder(tmp_path / model_type, model_type, pieces)
        (tokens,) = load_tokenizer(path, family=family)(["9,"], max_length=9)
        assert tokens.pieces[1:-1] == expected


def test_settings_of_the_classes(tmp_path, pieces):
    for model_type, settings, text, expected in [
        ("albert", {}, "A CAFÉ", "a cafe"),
        ("albert", {"keep_accents": True}, "A CAFÉ", "a café"),
        ("albert", {"do_lower_case": False, "keep_accents": True}, "a É", "a É"),
        ("deberta-v2", {"do_lower_case": True}, "A FILM", "a film"),
        ("deberta-v2", {}, "a film", "a film"),
        ("xlm-roberta", {}, "a film", "a film"),
    ]:
        path, family = folder(tmp_path / "x", model_type, pieces)
        (path / "tokenizer_config.json").write_text(json.dumps(settings))
        tokenizer = load_tokenizer(path, family=family)
        (path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "keep_accents": True}))
        keeping = load_tokenizer(path, family=family)
        assert list(tokenizer([text], max_length=30)[0].ids) == list(keeping([expected], max_length=30)[0].ids)
        for file in path.iterdir():
            file.unlink()


def test_punctuation_apart(tmp_path):
    pieces = [("▁a", -1.0), ("a", -2.0), (".", -3.0), ("▁a.a", -1.0), ("▁.", -3.0)]
    path, family = folder(tmp_path / "x", "deberta-v2", pieces)
    assert load_tokenizer(path, family=family)(["a.a"], max_length=9)[0].pieces[1:-1] == ("▁a.a",)
    (path / "tokenizer_config.json").write_text('{"split_by_punct": true}')
    assert load_tokenizer(path, family=family)(["a.a"], max_length=9)[0].pieces[1:-1] == ("▁a", "▁.", "▁a")


def test_an_added_mask_has_the_id_of_the_file(tmp_path, pieces):
    path, family = folder(tmp_path / "x", "deberta-v2", pieces)
    count = len(pieces) + 4
    (path / "added_tokens.json").write_text(json.dumps({"[MASK]": count}))
    tokenizer = load_tokenizer(path, family=family)
    assert (tokenizer.mask_id, tokenizer.max_id) == (count, count)
    (path / "added_tokens.json").write_text(json.dumps({"[MASK]": count + 1}))
    assert f"'[MASK]' as id {count + 1}, but it would be {count}" in refusal(load_tokenizer, path, family=family)


@pytest.mark.parametrize(
    ("settings", "types", "warned"),
    [
        ({}, (0, 1), True),
        ({"model_input_names": ["input_ids", "token_type_ids"]}, (0, 1), False),
        ({"model_input_names": ["input_ids", "attention_mask"]}, (0, 0), False),
    ],
)
def test_segment_ids_of_albert(tmp_path, pieces, settings, types, warned):
    path, family = folder(tmp_path / "x", "albert", pieces)
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_tokenizer(path, family=family)
    (row,) = tokenizer(["a"], ["a"], max_length=9)
    assert (row.types[0], row.types[-1]) == types
    said = "no model_input_names: the segment ids of pairs are 0 and 1, as in transformers 4; transformers 5 has 0"
    assert [said in warning for warning in tokenizer.warnings] == [True] * warned


@each
def test_what_is_written_is_read_back(tmp_path, pieces, model_type):
    path, family = folder(tmp_path / "x", model_type, pieces)
    tokenizer = load_tokenizer(path, family=family)
    tokenizer.save(tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"tokenizer.json", "tokenizer_config.json"}
    again = load_tokenizer(tmp_path / "out", family=family)
    for row, expected in zip(again(MORE, MORE, max_length=999), tokenizer(MORE, MORE, max_length=999), strict=True):
        assert (list(row.ids), list(row.types)) == (list(expected.ids), list(expected.types))
        assert (row.spans, row.words) == (expected.spans, expected.words)


def test_user_defined_pieces_are_pieces_and_are_told_of(tmp_path, pieces):
    path, family = folder(tmp_path / "x", "deberta-v2", pieces)
    (path / "spm.model").write_bytes((path / "spm.model").read_bytes() + piece("(", 0.0, USER_DEFINED))
    tokenizer = load_tokenizer(path, family=family)
    assert len(tokenizer.warnings) == 1
    assert "user defined (()" in tokenizer.warnings[0]
    (tokens,) = tokenizer(["(a"], max_length=9)
    assert tokens.pieces[1:-1] == ("▁", "(", "a")


BAD = {
    "empty": (b"", "has no pieces"),
    "text": (b"just a text\n" * 9, "is not a SentencePiece model"),
    "cut": (piece("a", 0.0)[:-3], "is not a SentencePiece model"),
    "bpe": (piece("<unk>", 0.0) + field(2, field(3, 2)), "of the kind BPE; only unigram is read"),
    "bytes": (piece("<unk>", 0.0) + field(2, field(35, 1)), "byte_fallback"),
    "no prefix": (piece("<unk>", 0.0) + field(3, field(3, 0)), "add_dummy_prefix"),
    "not UTF-8": (field(1, field(1, b"\xff")), "is not a SentencePiece model"),
    "a number for a message": (field(1, 7), "is not a SentencePiece model"),
    "a long number": (b"\x08" + b"\xff" * 12, "is not a SentencePiece model"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_model(tmp_path, case):
    content, message = BAD[case]
    (tmp_path / "spm.model").write_bytes(content)
    family = with_class("DebertaV2Tokenizer")
    for path in (tmp_path, tmp_path / "spm.model"):
        said = refusal(load_tokenizer, path, family=family)
        assert message in said
        assert "spm.model" in said


def test_missing_files(tmp_path):
    said = refusal(load_tokenizer, tmp_path, family=CASES["albert"][1])
    assert "holds no tokenizer.json or spiece.model" in said
    (tmp_path / "spiece.model").write_bytes(piece_model([("a", 0.0)], ("[PAD]",)))
    assert "lacks <unk>, the unk_token" in refusal(load_tokenizer, tmp_path, family=CASES["albert"][1])


# --- live against SentencePiece and transformers


def trained(rule, **settings):
    """A model that SentencePiece trains on the tests' sentences."""
    sentencepiece = pytest.importorskip("sentencepiece")
    out = io.BytesIO()
    sentences = [*SENTENCES, "in 1999, it was 20, the movie (good) was well-made."]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 5),
        model_writer=out,
        vocab_size=130,
        hard_vocab_limit=False,
        normalization_rule_name=rule,
        minloglevel=2,
        **settings,
    )
    return out.getvalue()


BRACKETED = {"bos_piece": "[CLS]", "eos_piece": "[SEP]", "pad_piece": "[PAD]", "unk_piece": "[UNK]"}
TRAINING = {
    "xlm-roberta": {},
    "camembert": {},
    "deberta-v2": {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, **BRACKETED},
    "albert": {
        "pad_id": 0,
        "unk_id": 1,
        "bos_id": -1,
        "eos_id": -1,
        "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
    },
}


def both(path, model_type, rule, **settings):
    transformers = pytest.importorskip("transformers")
    name, family, _ = CASES[model_type]
    (path / name).write_bytes(trained(rule, **TRAINING[model_type], **settings))
    (path / "config.json").write_text(json.dumps({"model_type": model_type}))
    return load_tokenizer(path, family=family), transformers.AutoTokenizer.from_pretrained(path)


# Texts that transformers 5's DebertaV2Tokenizer changes otherwise than the character map of the file.
COMPATIBILITY = ("\u00a0", "\u3000", "ﬁ", "\ufb01", "½", "…", "\u2581")
COMBINED = ("\u0301", "\u00a0", "\t")


@pytest.mark.parity
@pytest.mark.parametrize("rule", ["nmt_nfkc", "identity"])
@each
def test_ids_of_transformers(tmp_path, model_type, rule):
    ours, theirs = both(tmp_path, model_type, rule)
    assert ours.vocab_size == len(theirs)
    special = ("pad_id", "unk_id", "cls_id", "sep_id", "mask_id")
    assert [getattr(ours, name) for name in special] == [getattr(theirs, f"{name[:-2]}token_id") for name in special]
    compared = 0
    for text in [*MORE, *SENTENCES]:
        otherwise = COMPATIBILITY if rule == "nmt_nfkc" else COMBINED
        if model_type == "deberta-v2" and any(sign in text for sign in otherwise):
            continue
        assert ours([text], max_length=300)[0].ids.tolist() == theirs(text).input_ids, ascii(text)
        compared += 1
    assert compared > 10


@pytest.mark.parity
@each
def test_pieces_of_sentencepiece(tmp_path, model_type):
    """The library that such models are trained with; special tokens in texts and ALBERT's own steps aside."""
    sentencepiece = pytest.importorskip("sentencepiece")
    ours, _ = both(tmp_path, model_type, "nmt_nfkc")
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / CASES[model_type][0]))
    texts = [text for text in MORE if "<" not in text and "\u2581" not in text and text.strip()]
    if model_type == "albert":
        texts = ["a good film", "(good) well-made."]
    for text in texts:
        pieces = ours([text], max_length=300)[0].ids[1:-1]
        known = theirs.encode(text, out_type=str)
        unknown = [piece if theirs.piece_to_id(piece) != theirs.unk_id() else None for piece in known]
        assert [None if number == ours.unk_id else ours.pieces[number] for number in pieces] == unknown, ascii(text)


@pytest.mark.parity
def test_where_transformers_5_differs_for_deberta(tmp_path):
    """It drops the character map that the model was trained with; this is the test that says so."""
    ours, theirs = both(tmp_path, "deberta-v2", "nmt_nfkc")
    assert ours(["a ﬁne film"], max_length=30)[0].ids.tolist() == theirs("a fine film").input_ids
    assert theirs.unk_token_id in theirs("a ﬁne film").input_ids
    ours.save(tmp_path / "out")  # for a class that takes the file as it is
    again = sys.modules["transformers"].AutoTokenizer.from_pretrained(tmp_path / "out")
    assert again("a ﬁne film").input_ids == theirs("a fine film").input_ids


@pytest.mark.parity
def test_the_file_is_read_as_by_protobuf(tmp_path):
    pytest.importorskip("sentencepiece")
    from sentencepiece import sentencepiece_model_pb2

    content = trained("nmt_nfkc", user_defined_symbols=["(", "good"])
    (tmp_path / "x.model").write_bytes(content)
    theirs = sentencepiece_model_pb2.ModelProto()
    theirs.ParseFromString(content)
    ours = read_pieces(tmp_path / "x.model")
    assert list(ours.pieces) == [(piece.piece, piece.score, piece.type) for piece in theirs.pieces]
    assert ours.charsmap == theirs.normalizer_spec.precompiled_charsmap
