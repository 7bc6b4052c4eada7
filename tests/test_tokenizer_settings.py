"""What the files beside a vocabulary say: honoured as in transformers 5, refused by name, or warned of."""

import itertools
import json
import shutil

import numpy as np
import pytest
from family_models import save_tokenizer, write_family
from models import VOCAB, refusal, write_model
from test_family_tokens import TEXTS
from test_tokens import SENTENCES

import autorel_jax as ar
from autorel_jax.cli.convert import main as convert
from autorel_jax.families import family_of
from autorel_jax.text.layout import has_types
from autorel_jax.text.settings import HARMLESS, HONOURED, JAPANESE_KEYS, REFUSED
from autorel_jax.text.tokens import load_tokenizer

PIECES = len(VOCAB.read_text("utf-8").splitlines())
AS_IS = "PreTrainedTokenizerFast"


def token(text, **flags):
    """An added token as files spell it."""
    return {"content": text, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, **flags}


def bert(path, config=None, vocab=False, cased=False, **files):
    """A directory with BERT's vocabulary of the tests, as tokenizer.json or vocab.txt, and those files."""
    load_tokenizer(VOCAB, cased=cased).save(path)
    (path / ("tokenizer.json" if vocab else "vocab.txt")).unlink()
    (path / "config.json").write_text('{"model_type": "bert"}')
    for name, content in {"tokenizer_config": config or {}, **files}.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


def one(tokenizer, *texts, **options):
    (row,) = tokenizer(*([text] for text in texts), **{"max_length": 99} | options)
    return row


# --- segment ids


@pytest.mark.parametrize(
    ("config", "types"),
    [
        ({}, [0, 0, 0, 0, 1, 1]),
        ({"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}, [0, 0, 0, 0, 1, 1]),
        ({"model_input_names": ["input_ids", "attention_mask"]}, [0] * 6),
        ({"tokenizer_class": "DistilBertTokenizer"}, [0] * 6),
        ({"tokenizer_class": AS_IS}, [0] * 6),
        ({"tokenizer_class": AS_IS, "model_input_names": ["input_ids", "token_type_ids"]}, [0, 0, 0, 0, 1, 1]),
    ],
)
def test_segment_ids_are_those_of_the_files(tmp_path, config, types):
    tokenizer = load_tokenizer(bert(tmp_path / "x", {"do_lower_case": True, **config}))
    assert one(tokenizer, "a film", "good").types.tolist() == types
    encoded = tokenizer.encode(["a film"], ["good"], max_length=9)
    assert encoded.batch(np.array([0]), (1, 6)).types.tolist() == [types]
    tokenizer.save(tmp_path / "out")
    again = load_tokenizer(tmp_path / "out")
    assert one(again, "a film", "good").types.tolist() == types
    assert again.fingerprint == tokenizer.fingerprint


def changed(path, change):
    """The directory with another tokenizer.json."""
    file = path / "tokenizer.json"
    raw = json.loads(file.read_text("utf-8"))
    change(raw)
    file.write_text(json.dumps(raw), "utf-8")
    return path


BPE_PIPELINES = {
    "no words": lambda raw: raw["pre_tokenizer"].update(use_regex=False),
    "ends of words": lambda raw: raw["model"].update(end_of_word_suffix="e"),
}


@pytest.mark.parametrize("pipeline", BPE_PIPELINES)
def test_a_byte_level_pipeline_that_is_not_the_classs_is_told(tmp_path, pipeline):
    save_tokenizer(tmp_path, "roberta")
    assert not [each for each in load_tokenizer(tmp_path, family=family_of("roberta")).warnings if "splits" in each]
    tokenizer = load_tokenizer(changed(tmp_path, BPE_PIPELINES[pipeline]), family=family_of("roberta"))
    assert [each for each in tokenizer.warnings if "splits text in another way than RobertaTokenizer" in each]


def test_a_panic_of_the_library_is_one_line(tmp_path):
    save_tokenizer(tmp_path, "roberta")
    broken = changed(tmp_path, lambda raw: raw["model"].update(continuing_subword_prefix="##"))
    assert "is not a tokenizer.json: " in refusal(load_tokenizer, broken, family=family_of("roberta"))


PIPELINES = {
    "shorter words": lambda raw: raw["model"].update(max_input_chars_per_word=4),
    "whitespace": lambda raw: raw.update(pre_tokenizer={"type": "Whitespace"}),
    "lowercase": lambda raw: raw.update(normalizer={"type": "Lowercase"}),
}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_that_is_not_the_classs_is_told_and_written_as_it_is(tmp_path, pipeline):
    path = changed(bert(tmp_path / "in", {"do_lower_case": True}), PIPELINES[pipeline])
    tokenizer = load_tokenizer(path)
    assert [warning for warning in tokenizer.warnings if "splits text in another way than BertTokenizer" in warning]
    tokenizer.save(tmp_path / "out")
    again = load_tokenizer(tmp_path / "out")
    assert again.warnings == ()
    assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["tokenizer_class"] == AS_IS
    for text in TEXTS:
        assert one(again, text).ids.tolist() == one(tokenizer, text).ids.tolist()


@pytest.mark.parity
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_transformers_reads_what_is_written_of_it(tmp_path, pipeline):
    transformers = pytest.importorskip("transformers")
    tokenizer = load_tokenizer(changed(bert(tmp_path / "in", {"do_lower_case": True}), PIPELINES[pipeline]))
    tokenizer.save(tmp_path / "out")
    (tmp_path / "out" / "config.json").write_text('{"model_type": "bert"}')
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in TEXTS:
        assert theirs(text)["input_ids"] == one(tokenizer, text).ids.tolist()


def test_silence_of_a_generic_class_is_told(tmp_path):
    (warning,) = load_tokenizer(bert(tmp_path, {"tokenizer_class": AS_IS})).warnings
    assert "no model_input_names: the segment ids of pairs are 0, as in transformers 5" in warning


def test_a_pair_changes_with_its_segment_ids(tmp_path):
    """The logits of a directory, and of what convert makes of it."""
    write_model(tmp_path / "model")
    config = tmp_path / "model" / "tokenizer_config.json"
    found = {}
    for names in (["input_ids", "token_type_ids"], ["input_ids", "attention_mask"]):
        config.write_text(json.dumps(json.loads(config.read_text()) | {"model_input_names": names}))
        classifier = ar.load(tmp_path / "model")
        batch = classifier.batch(["a film"], ["good"])
        found[names[1]] = classifier.logits(batch)
        assert convert([str(tmp_path / "model"), str(tmp_path / names[1])]) == 0
        written = ar.load(tmp_path / names[1])
        np.testing.assert_array_equal(written.logits(written.batch(["a film"], ["good"])), found[names[1]])
    assert abs(found["token_type_ids"] - found["attention_mask"]).max() > 1e-3


# --- the side that is cut


def test_cut_on_the_left_by_hand(tmp_path):
    path = bert(tmp_path / "x", {"do_lower_case": True, "truncation_side": "left"})
    tokenizer = load_tokenizer(path)
    row = one(tokenizer, "end \u200b quietly films \u200b walking", max_length=6)
    assert row.pieces == ("[CLS]", "film", "##s", "walk", "##ing", "[SEP]")
    assert row.words == ("[CLS]", "films", "\u200b", "walking", "[SEP]")
    assert row.word_index.tolist() == [0, 1, 1, 3, 3, 4]
    assert (row.word_spans[1], row.spans[1], row.truncated) == ((14, 19), (14, 18), 3)
    row = one(tokenizer, "end \u200b quietly films", max_length=5)
    assert row.pieces == ("[CLS]", "##ly", "film", "##s", "[SEP]")
    assert row.words == ("[CLS]", "quietly", "films", "[SEP]")  # listed in full
    assert one(tokenizer, "end \u200b quietly", max_length=4).words == ("[CLS]", "\u200b", "quietly", "[SEP]")
    encoded = tokenizer.encode(["end quietly films"], max_length=5)
    assert encoded.ids.tolist() == row.ids.tolist()
    right = one(load_tokenizer(path, truncation_side="right"), "end quietly films", max_length=5)
    assert right.pieces == ("[CLS]", "end", "quiet", "##ly", "[SEP]")
    said = refusal(load_tokenizer, path, truncation_side="both")
    assert said == "truncation_side='both' is unknown; accepted: right, left."


def test_a_word_of_which_nothing_is_left(tmp_path):
    tokenizer = load_tokenizer(bert(tmp_path / "x", {"truncation_side": "left"}))
    row = one(tokenizer, "walking", "the films", max_length=4)
    assert row.pieces == ("[CLS]", "[SEP]", "##s", "[SEP]")
    assert row.words == ("[CLS]", "[SEP]", "films", "[SEP]")


def test_the_side_is_kept_told_and_part_of_the_fingerprint(tmp_path):
    write_model(tmp_path / "model")
    config = tmp_path / "model" / "tokenizer_config.json"
    plain = load_tokenizer(tmp_path / "model")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"truncation_side": "left"}))
    assert convert([str(tmp_path / "model"), str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out/tokenizer_config.json").read_text())["truncation_side"] == "left"
    classifier = ar.load(tmp_path / "out")
    assert classifier.tokenizer.truncation_side == "left"
    assert classifier.tokenizer.fingerprint != plain.fingerprint
    assert ar.load(tmp_path / "out", truncation_side="right").tokenizer.fingerprint == plain.fingerprint
    (made,) = ar.explain(classifier, ["one film and a very good end"], max_length=5, method="gradient_x_input")
    assert made.words[-2:] == ("end", "[SEP]")
    assert any("cut off on the left" in warning for warning in made.warnings)
    assert convert([str(tmp_path / "out"), str(tmp_path / "right"), "--truncation-side", "right"]) == 0
    assert "truncation_side" not in json.loads((tmp_path / "right/tokenizer_config.json").read_text())


# --- the longest text


def test_texts_are_cut_where_the_files_say(tmp_path):
    """The model has 64 positions; its files say 10, as they do of a model that was trained on short texts."""
    write_model(tmp_path / "model")
    path = tmp_path / "model" / "tokenizer_config.json"
    raw = json.loads(path.read_text())
    text = " ".join(["film"] * 30)
    for said, length in ((10, 10), (1000, 32), (1e30, 32)):
        path.write_text(json.dumps(raw | {"model_max_length": said}))
        classifier = ar.load(tmp_path / "model")
        assert len(classifier.tokens([text])[0].ids) == classifier.batch([text]).ids.shape[1] == length
        assert len(classifier.tokens([text], max_length=20)[0].ids) == 20
    path.write_text(json.dumps(raw | {"model_max_length": 10}))
    classifier = ar.load(tmp_path / "model")
    (cut,) = ar.explain(classifier, text, method="gradient_x_input")
    assert (len(cut.tokens), cut.truncated_tokens) == (10, 22)
    assert "22 word pieces beyond 10 tokens were cut off on the right and not read" in cut.warnings
    (asked,) = ar.explain(classifier, text, method="gradient_x_input", max_length=10)
    np.testing.assert_array_equal(cut.token_relevance, asked.token_relevance)
    (whole,) = ar.explain(classifier, text, method="gradient_x_input", long="windows")
    assert (len(whole.tokens), whole.truncated_tokens) == (32, 0)
    assert {window.end - window.start for window in whole.windows} == {8}


def test_a_written_directory_is_cut_where_its_model_was(tmp_path):
    """A vocabulary alone names no longest text; BERT's 512 must not cut the texts of a longer model."""
    write_model(tmp_path / "long", max_position_embeddings=600)
    assert json.loads((tmp_path / "long/tokenizer_config.json").read_text())["model_max_length"] == 600
    assert ar.load(tmp_path / "long").longest_text == 600
    assert ar.load(tmp_path / "long", vocab=VOCAB).longest_text == 600
    path = tmp_path / "long" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": 10}))
    assert convert([str(tmp_path / "long"), str(tmp_path / "again")]) == 0
    assert ar.load(tmp_path / "again").longest_text == 10


def test_the_side_in_tokenizer_json(tmp_path):
    path = bert(tmp_path / "x", {"do_lower_case": True})
    raw = json.loads((path / "tokenizer.json").read_text("utf-8"))
    raw["truncation"] = {"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    (path / "tokenizer.json").write_text(json.dumps(raw), "utf-8")
    assert one(load_tokenizer(path), "the quiet film", max_length=4).pieces[1:-1] == ("quiet", "film")
    (path / "tokenizer_config.json").write_text('{"truncation_side": "right"}')
    assert one(load_tokenizer(path), "the quiet film", max_length=4).pieces[1:-1] == ("the", "quiet")


def test_the_role_of_a_token_is_part_of_the_fingerprint(tmp_path):
    """The vocabulary and the added tokens are the same; what texts begin with is not."""
    named = {"do_lower_case": True}
    plain = load_tokenizer(bert(tmp_path / "a", named))
    other = load_tokenizer(bert(tmp_path / "b", named | {"cls_token": "[MASK]"}))
    assert (one(plain, "a").pieces[0], one(other, "a").pieces[0]) == ("[CLS]", "[MASK]")
    assert plain._backend.model.to_str() == other._backend.model.to_str()
    assert plain.fingerprint != other.fingerprint
    assert load_tokenizer(bert(tmp_path / "c", named)).fingerprint == plain.fingerprint


# --- classes


def test_a_generic_class_takes_the_file_as_it_is(tmp_path):
    for name in (AS_IS, "TokenizersBackend"):
        path = bert(tmp_path / name, {"tokenizer_class": name, "do_lower_case": True}, cased=True)
        tokenizer = load_tokenizer(path)
        assert (tokenizer.cased, tokenizer.why) == (True, "from tokenizer.json: lowercase is false")
        assert one(tokenizer, "The film").pieces[1:-1] == ("[UNK]", "film")
        tokenizer.save(tmp_path / "out")
        assert json.loads((tmp_path / "out/tokenizer_config.json").read_text())["tokenizer_class"] == AS_IS
        assert one(load_tokenizer(tmp_path / "out"), "The film").pieces[1:-1] == ("[UNK]", "film")
        assert one(load_tokenizer(path, cased=False), "The film").pieces[1:-1] == ("the", "film")


def test_a_generic_class_needs_the_family_s_template(tmp_path):
    path = bert(tmp_path, {"tokenizer_class": AS_IS})
    raw = json.loads((path / "tokenizer.json").read_text("utf-8"))
    (path / "tokenizer.json").write_text(json.dumps(raw | {"post_processor": None}), "utf-8")
    said = refusal(load_tokenizer, path)
    assert "reads a text as 'a', BERT as '[CLS] a [SEP]'. Set its post_processor right, or name BertTokenizer" in said
    (path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    assert one(load_tokenizer(path), "a").pieces == ("[CLS]", "a", "[SEP]")
    raw["post_processor"]["pair"][-1]["SpecialToken"]["type_id"] = 0
    (path / "tokenizer.json").write_text(json.dumps(raw), "utf-8")
    names = {"tokenizer_class": AS_IS, "model_input_names": ["input_ids", "token_type_ids"]}
    (path / "tokenizer_config.json").write_text(json.dumps(names))
    assert "gives a pair the segment ids [0, 0, 0, 1, 0], BERT has [0, 0, 0, 1, 1]" in refusal(load_tokenizer, path)


@pytest.mark.parametrize("where", ["tokenizer_config", "config"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BertweetTokenizer", "tokenizer_class=BertweetTokenizer is not supported: it rewrites a tweet"),
        ("GPT2TokenizerFast", "tokenizer_class=GPT2Tokenizer is not supported; accepted: BertTokenizer, "),
        ("RobertaTokenizer", "tokenizer_class=RobertaTokenizer is a BPE tokenizer; BERT's is WordPiece"),
    ],
)
def test_another_class_is_refused_by_its_name(tmp_path, where, name, message):
    path = bert(tmp_path, {})
    (path / f"{where}.json").write_text(json.dumps({"model_type": "bert", "tokenizer_class": name}))
    assert message in refusal(load_tokenizer, path)


def test_convert_keeps_a_class_with_settings_of_its_own(tmp_path):
    load_tokenizer(bert(tmp_path / "x", {"tokenizer_class": "ElectraTokenizerFast"})).save(tmp_path / "out")
    assert json.loads((tmp_path / "out/tokenizer_config.json").read_text())["tokenizer_class"] == "ElectraTokenizer"


# --- every other key


def test_each_key_is_in_one_list():
    lists = [HONOURED, JAPANESE_KEYS, tuple(REFUSED), *HARMLESS.values()]
    keys = list(itertools.chain(*lists))
    assert len(set(keys)) == len(keys)


REFUSALS = [
    ({"auto_map": {"AutoTokenizer": ["tokenization.X", None]}}, "auto_map", "names code of its own"),
    ({"init_inputs": ["vocab.txt"]}, "init_inputs", "by name"),
    ({"fast_tokenizer_files": ["tokenizer.4.0.json"]}, "fast_tokenizer_files", "tokenizer.json"),
    ({"vocab": {"a": 0}}, "vocab", "files of their own"),
    ({"word_tokenizer_type": "mecab"}, "word_tokenizer_type", "a setting of BertJapaneseTokenizer"),
    ({"truncation_side": "middle"}, "truncation_side", "accepted: right, left"),
    ({"model_input_names": "input_ids"}, "model_input_names", "expected a list"),
    ({"do_lower_case": "no"}, "do_lower_case", "expected true or false"),
    ({"tokenizer_class": 3}, "tokenizer_class", "expected a name"),
]


@pytest.mark.parametrize(("config", "key", "message"), REFUSALS, ids=str)
def test_what_is_refused_by_name(tmp_path, config, key, message):
    said = refusal(load_tokenizer, bert(tmp_path, config))
    assert key in said
    assert message in said


def test_bounds_need_a_tokenizer_json(tmp_path):
    assert load_tokenizer(bert(tmp_path / "x", {"add_bos_token": True, "do_lower_case": True})).warnings == ()
    said = refusal(load_tokenizer, bert(tmp_path / "y", {"add_bos_token": True}, vocab=True))
    assert "add_bos_token is True, which is not supported without a tokenizer.json" in said


def test_unknown_keys_are_told_once(tmp_path):
    known = {"do_lower_case": True, "padding_side": "left", "chat_template": "x", "empty": None, "x_token": "film"}
    assert load_tokenizer(bert(tmp_path / "x", known)).warnings == ()
    (warning,) = load_tokenizer(bert(tmp_path / "y", known | {"smooth": 1, "odd": 2})).warnings
    assert warning == "tokenizer_config.json: the keys odd, smooth are unknown here and not read"


def test_a_setting_that_contradicts_the_file(tmp_path):
    path = save_tokenizer(tmp_path, "xlm-roberta")
    (path / "tokenizer_config.json").write_text('{"add_prefix_space": false}')
    said = refusal(load_tokenizer, path, family=family_of("xlm-roberta"))
    assert "says add_prefix_space false, but tokenizer.json does the opposite" in said
    assert load_tokenizer(path / "tokenizer.json", family=family_of("xlm-roberta")).warnings == ()
    (path / "tokenizer_config.json").write_text('{"bos_token": "</s>"}')
    said = refusal(load_tokenizer, path, family=family_of("xlm-roberta"))
    assert "names '</s>' the bos_token and '<s>' the cls_token" in said


def test_what_a_file_says_and_the_settings_do_not_is_told(tmp_path):
    tokenizer = load_tokenizer(bert(tmp_path, {}, cased=True))
    assert tokenizer.cased
    (warning,) = tokenizer.warnings
    assert (
        "does not say do_lower_case: tokenizer.json counts, where it is false; transformers would take true" in warning
    )


def test_special_tokens_in_a_text_may_be_text(tmp_path):
    tokenizer = load_tokenizer(bert(tmp_path / "x", {"do_lower_case": True, "split_special_tokens": True}))
    assert "[SEP]" not in one(tokenizer, "a [SEP]").pieces[1:-1]
    tokenizer.save(tmp_path / "out")
    again = load_tokenizer(tmp_path / "out")
    assert one(again, "a [SEP]").pieces == one(tokenizer, "a [SEP]").pieces
    assert again.fingerprint == tokenizer.fingerprint != load_tokenizer(VOCAB).fingerprint


def test_dropped_merges_are_refused(tmp_path):
    path = save_tokenizer(tmp_path, "roberta")
    raw = json.loads((path / "tokenizer.json").read_text())
    raw["model"]["dropout"] = 0.1
    (path / "tokenizer.json").write_text(json.dumps(raw))
    assert "drops merges at random (dropout=0.1" in refusal(load_tokenizer, path, family=family_of("roberta"))


# --- ids beyond a table


def test_ids_beyond_a_table_are_refused(tmp_path):
    write_model(tmp_path / "model")
    classifier = ar.load(tmp_path / "model")
    rows = classifier.config.vocab_size
    batch = classifier.batch(["a film"])
    for ids, types, said in [
        (
            0 * batch.ids + rows,
            batch.types,
            f"token ids hold {rows}, but the model has {rows} of them, 0 to {rows - 1}",
        ),
        (batch.ids - 999, batch.types, "token ids hold -996"),
        (batch.ids, batch.types + 2, "segment ids hold 2, but the model has 2 of them"),
    ]:
        bad = type(batch)(ids, batch.mask, types)
        assert said in refusal(classifier.logits, bad)
        assert said in refusal(classifier.embeddings, "attnlrp", bad, "embeddings")
    assert "float32" in refusal(classifier.logits, type(batch)(batch.ids.astype("f4"), batch.mask, batch.types))


def test_a_pair_needs_two_segment_ids(tmp_path):
    write_model(tmp_path / "model", type_vocab_size=1)
    classifier = ar.load(tmp_path / "model")
    assert "tells 1 kind(s) of segments apart" in refusal(classifier.batch, ["a"], ["b"])
    config = tmp_path / "model" / "tokenizer_config.json"
    names = {"model_input_names": ["input_ids", "attention_mask"]}
    config.write_text(json.dumps(json.loads(config.read_text()) | names))
    assert not ar.load(tmp_path / "model").batch(["a"], ["b"]).types.any()


# --- live against transformers


BERTS = [
    {},
    {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False},
    {"tokenizer_class": AS_IS, "do_lower_case": True},
    {"tokenizer_class": "TokenizersBackend", "do_lower_case": False},
    {"tokenizer_class": AS_IS, "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]},
    *({"tokenizer_class": f"{name}Tokenizer"} for name in ("DistilBert", "Electra", "MobileBert")),
    *({"tokenizer_class": f"{name}Tokenizer"} for name in ("LayoutLM", "SqueezeBert")),
    {"model_input_names": ["input_ids", "attention_mask"]},
    {"model_input_names": ["input_ids", "token_type_ids"]},
    {"truncation_side": "left"},
    {"truncation_side": "left", "tokenizer_class": AS_IS},
    {"split_special_tokens": True, "padding_side": "left"},
    {"mask_token": {"__type": "AddedToken", **token("[MASK]", lstrip=True)}},
    {"cls_token": "[SEP]", "sep_token": "[CLS]"},
    {"unk_token": "[unused1]"},
    {"bos_token": "film", "eos_token": "river"},
    {"additional_special_tokens": ["the film"]},
    {"extra_special_tokens": ["film"]},
    {"extra_special_tokens": {"film_token": "film"}},
    {"film_token": "film"},
    {"added_tokens_decoder": {str(PIECES): token("<Url>", special=False, normalized=True)}},
    {"added_tokens_decoder": {"5": token("[MASK]", lstrip=True, special=True)}, "mask_token": "[MASK]"},
    {"do_lower_case": False, "strip_accents": True},
    {"tokenize_chinese_chars": False, "do_lower_case": True},
    {"never_split": ["film"], "do_basic_tokenize": False, "clean_up_tokenization_spaces": True},
    {"max_length": 5, "stride": 1, "truncation_strategy": "only_first", "model_max_length": 7},
]
ROBERTAS = [
    {},
    {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True},
    {"tokenizer_class": AS_IS},
    {"tokenizer_class": "TokenizersBackend", "add_prefix_space": True},
    {"truncation_side": "left"},
    {"split_special_tokens": True},
    {"mask_token": {"__type": "AddedToken", **token("<mask>")}},
    {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>"},
    {"model_input_names": ["input_ids"]},
    {"additional_special_tokens": ["film"]},
    {"trim_offsets": False, "errors": "replace"},
    {"added_tokens_decoder": {"4": token("<mask>", special=True)}, "mask_token": "<mask>"},
]
BESIDE = [  # special_tokens_map.json, added_tokens.json
    ({}, {}),
    ({"mask_token": token("[MASK]", lstrip=True), "additional_special_tokens": ["film"]}, {}),
    ({"unk_token": "[unused1]"}, {"<Url>": PIECES}),
]


def compare(path, family, texts):
    """Ids and segment ids of single texts and pairs, whole and cut, beside those of transformers."""
    transformers = pytest.importorskip("transformers")
    ours, theirs = load_tokenizer(path, family=family), transformers.AutoTokenizer.from_pretrained(path)
    assert ours.positions == (theirs.model_max_length if theirs.model_max_length < 1e6 else 512)
    for (text, pair), length in itertools.product(zip(texts, texts[::-1], strict=True), (400, 11)):
        for texts_of_row in ([text], [text, pair]):
            # As lists: transformers takes an empty string alone for no second text.
            given = [[each] for each in texts_of_row]
            expected = theirs(*given, truncation="longest_first", max_length=length)
            row = one(ours, *texts_of_row, max_length=length)
            assert row.ids.tolist() == expected.input_ids[0], (ascii(texts_of_row), length)
            types = expected.get("token_type_ids", [[0] * len(row.ids)])[0]
            assert row.types.tolist() == (types if has_types(family.tokens.pair) else [0] * len(row.ids))


@pytest.mark.parity
@pytest.mark.parametrize("vocab", [False, True], ids=["tokenizer.json", "vocab.txt"])
@pytest.mark.parametrize("config", BERTS, ids=str)
def test_bert_as_transformers_reads_it(tmp_path, config, vocab):
    texts = [*SENTENCES, "a [MASK] x <Url> <url><URL> the film", "The film river"]
    for number, (special_map, added) in enumerate(BESIDE):
        path = bert(tmp_path / str(number), config, vocab, special_tokens_map=special_map, added_tokens=added)
        if vocab and config.get("tokenizer_class") in (
            AS_IS,
            "TokenizersBackend",
        ):  # transformers cannot read it either
            assert "holds no tokenizer.json" in refusal(load_tokenizer, path)
            continue
        compare(path, family_of("bert"), texts)


@pytest.mark.parity
@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta", "camembert"])
@pytest.mark.parametrize("config", ROBERTAS, ids=str)
def test_its_relatives_as_transformers_reads_them(tmp_path, config, model_type):
    if "Roberta" in config.get("tokenizer_class", "") and model_type != "roberta":
        config = config | {"tokenizer_class": None}
    for lstrip in (None, False, True):
        path = save_tokenizer(tmp_path / str(lstrip), model_type)
        (path / "tokenizer_config.json").write_text(json.dumps(config))
        if lstrip is not None:
            (path / "special_tokens_map.json").write_text(json.dumps({"mask_token": token("<mask>", lstrip=lstrip)}))
        compare(path, family_of(model_type), [*TEXTS, "film"])


@pytest.mark.parity
def test_mpnet_s_vocabulary_as_transformers_reads_it(tmp_path):
    """Its mask takes the space before it."""
    family = family_of("mpnet")
    lines = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", *VOCAB.read_text("utf-8").splitlines()[10:], "<mask>"]
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vocab.txt").write_text("\n".join(lines) + "\n", "utf-8")
        (tmp_path / name / "config.json").write_text('{"model_type": "mpnet"}')
    (tmp_path / "y" / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    for name in ("x", "y"):
        compare(tmp_path / name, family, [*SENTENCES, "a <mask>film <S> </s>", "the <MASK>"])
    ours = load_tokenizer(tmp_path / "x", family=family)
    ours.save(tmp_path / "out")
    shutil.copy(tmp_path / "x" / "config.json", tmp_path / "out")
    compare(tmp_path / "out", family, [*SENTENCES, "a <mask>film <S> </s>", "the <MASK>"])


@pytest.mark.parity
@pytest.mark.parametrize("names", [["input_ids", "token_type_ids"], ["input_ids", "attention_mask"]], ids=str)
def test_logits_of_a_pair_as_in_transformers(tmp_path, names):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    path = write_family(tmp_path / "model", "bert")
    config = json.loads((path / "tokenizer_config.json").read_text())
    (path / "tokenizer_config.json").write_text(json.dumps(config | {"model_input_names": names}))
    classifier = ar.load(path)
    given = transformers.AutoTokenizer.from_pretrained(path)("a film", "good", return_tensors="pt")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(path).eval()
    with torch.no_grad():
        expected = model(**given).logits.numpy()
    np.testing.assert_allclose(classifier.logits(classifier.batch(["a film"], ["good"])), expected, rtol=0, atol=1e-5)
