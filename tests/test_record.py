"""autorel record and verify: what is equal, what is rounding, what differs and is named, and what cannot be checked."""

import hashlib
import json
import re
import shutil
import zipfile

import numpy as np
import pytest
from masked_models import TEXT as MASKED_TEXT
from masked_models import write_masked
from models import random_params, tiny_config, write_model
from safetensors.numpy import load_file, save_file
from token_models import CONTEXT, QUESTION, TEXT, write_answerer, write_tagger

import autorel_jax as ar
from autorel_jax import weights
from autorel_jax.auditing import rounding
from autorel_jax.auditing.record_differences import model_lines, question_lines
from autorel_jax.auditing.record_facts import model_facts, question_facts
from autorel_jax.auditing.record_file import read_record, save_record, seal
from autorel_jax.cli.main import main

TEXTS = 'text,stars\na good film,positive\nbad,negative\nbad,neutral\n"a witty, good one",positive\n'
GIVEN = ("--label-column", "stars", "--target", "given")
QUERY = "attention.self.query.weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model_folder):
    """A model, texts, and records of them: with words and with hashes."""
    folder = tmp_path_factory.mktemp("records")
    shutil.copytree(model_folder, folder / "model")
    (folder / "texts.csv").write_text(TEXTS)
    record(folder, "plain", *GIVEN)
    record(folder, "hashed", *GIVEN, "--hash-texts")
    return folder


def call(*words):
    return main([*map(str, words), "--quiet"])


@pytest.fixture
def verify(folder, capsys):
    """`autorel verify`: (exit code, lines on stdout, stderr)."""

    def run(record, *words):
        capsys.readouterr()
        code = call("verify", folder / record, *words)
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return run


def record(folder, name, *words, command="record", to="-o"):
    """The path of a record of the texts."""
    path = folder / f"{name}.json"
    assert call(command, folder / "texts.csv", "--model", folder / "model", to, path, *words) == 0
    return path


# Equal.


def test_the_same_model_is_equal_bit_for_bit(verify):
    assert verify("plain.json") == (0, ["equal, bit for bit: 4 texts"], "")


def test_another_batch_is_equal_within_rounding(verify):
    code, (line,), _ = verify("plain.json", "--batch-size", "1")
    assert code == 0
    assert line.startswith(("equal within rounding: 4 texts; largest difference of ", "equal, bit for bit"))


def test_a_copy_in_shards_and_another_folder_is_equal(folder, verify):
    copy = folder / "shards"
    shutil.copytree(folder / "model", copy)
    tensors = sorted(load_file(copy / "model.safetensors").items())
    (copy / "model.safetensors").unlink()
    index = {}
    for number in (0, 1):
        part = dict(tensors[number::2])
        save_file(part, copy / f"part{number}.safetensors")
        index |= dict.fromkeys(part, f"part{number}.safetensors")
    (copy / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    assert verify("plain.json", "--model", copy)[:2] == (0, ["equal, bit for bit: 4 texts"])


@pytest.mark.parity
def test_hashes_of_tensors_do_not_depend_on_the_format(folder, verify):
    torch = pytest.importorskip("torch")
    copy = folder / "bin"
    shutil.copytree(folder / "model", copy)
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    torch.save({name: torch.from_numpy(values) for name, values in tensors.items()}, copy / "pytorch_model.bin")
    assert verify("plain.json", "--model", copy)[:2] == (0, ["equal, bit for bit: 4 texts"])


def test_what_a_record_holds(folder):
    made = read_record(folder / "plain.json")
    (one,) = ar.explain(ar.load(folder / "model"), "a good film", audit=True, target="positive")
    first = made["texts"][0]["results"][0]
    assert (first["words"], first["prediction"]) == (list(one.words), one.prediction.label)
    np.testing.assert_allclose(first["scores"], one.word_relevance, rtol=0, atol=1e-6)
    np.testing.assert_allclose(first["logits"], one.logits, rtol=0, atol=1e-6)
    assert sum(first["ledger"].values()) - first["ledger"]["value"] == pytest.approx(first["target_value"], abs=1e-5)
    assert made["model"]["labels"] == ["negative", "neutral", "positive"]
    assert made["question"]["rules"] == one.rules
    assert made["summary"]["texts"] == 4


def test_the_hash_of_a_tensor_by_hand():
    config = tiny_config()
    params = random_params(config)
    name = "bert.encoder.layer.0." + QUERY
    values = np.ascontiguousarray(params["layers"]["query"]["kernel"][0].T)
    wanted = hashlib.sha256(f"{name} float32 {values.shape}\n".encode() + values.astype("<f4").tobytes()).hexdigest()
    assert weights.tensor_hashes(params, config)[name] == wanted


# Different.


def one_bit(copy):
    tensors = load_file(copy / "model.safetensors")
    name = f"bert.encoder.layer.1.{QUERY}"
    bits = tensors[name].view(np.uint32)
    bits[3, 2] ^= 1
    save_file(tensors, copy / "model.safetensors")


def labels(*names):
    def change(copy):
        config = json.loads((copy / "config.json").read_text())
        config |= {"id2label": dict(enumerate(names)), "label2id": {name: place for place, name in enumerate(names)}}
        (copy / "config.json").write_text(json.dumps(config))

    return change


def epsilon(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-9}))


def other_words(copy):
    for name in ("vocab.txt", "tokenizer.json"):
        text = (copy / name).read_text()
        assert "good" in text
        (copy / name).write_text(text.replace("good", "gxyz"))


def cut_on_the_left(copy):
    settings = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps(settings | {"truncation_side": "left"}))


OTHER_MODELS = {
    "one bit": (one_bit, f"weights: 1 of 57 tensors differ: bert.encoder.layer.1.{QUERY}"),
    "order of labels": (
        labels("neutral", "negative", "positive"),
        "labels are the same in another order: they were negative, neutral, positive, now neutral, negative, positive",
    ),
    "a label": (labels("negative", "so-so", "positive"), "labels differ: they were negative, neutral, positive, now"),
    "config": (epsilon, "config: layer_norm_eps was 1e-12, now 1e-09"),
    "vocabulary": (other_words, "tokenizer: sha256 was "),
    "side": (cut_on_the_left, "tokenizer: truncation_side was 'right', now 'left'"),
}


@pytest.mark.parametrize("name", OTHER_MODELS)
def test_another_model_is_a_difference_and_named(folder, tmp_path, name):
    change, said = OTHER_MODELS[name]
    shutil.copytree(folder / "model", tmp_path / "model")
    change(tmp_path / "model")
    lines = list(model_lines(read_record(folder / "plain.json")["model"], model_facts(ar.load(tmp_path / "model"))))
    assert any(line.startswith(said) for line in lines), lines


@pytest.mark.parametrize("change", [one_bit, labels("neutral", "negative", "positive")])
def test_another_model_ends_with_1(folder, verify, tmp_path, change):
    shutil.copytree(folder / "model", tmp_path / "model")
    change(tmp_path / "model")
    code, lines, _ = verify("plain.json", "--model", tmp_path / "model")
    assert code == 1
    assert lines[0].startswith(("weights: 1 of 57", "labels are the same in another order"))
    assert re.fullmatch("differs: 1 of the model or the question, [0-4] of 4 texts", lines[-1])


OTHER_QUESTIONS = {
    "method": ({"method": "cp_lrp"}, "method: name was 'attnlrp', now 'cp_lrp'"),
    "rule": ({"method": "own"}, "method: rules: add was 'plain', now 'ratio'"),
    "parameter": ({"method": "gamma", "parameters": {"gamma": 0.1}}, "method: parameters: gamma was 0.05, now 0.1"),
    "read point": (
        {"read_at": "embeddings"},
        "method: parameters: read_at was 'word_embeddings', now 'embeddings'",
    ),
    "target": ({"target": "positive"}, "question: target was 'predicted', now 'positive'"),
    "contrast": (
        {"target": ("positive", "negative")},
        "question: target was 'predicted', now ['positive', 'negative']",
    ),
    "length": ({"max_length": 4}, "method: max_length was 64, now 4"),
    "long": ({"long": "windows"}, "question: long was 'truncate', now 'windows'"),
    "words": ({"split_punctuation": True}, "question: split_punctuation was False, now True"),
}


@pytest.mark.parametrize("name", OTHER_QUESTIONS)
def test_another_question_is_a_difference_and_named(classifier, name):
    options, said = OTHER_QUESTIONS[name]
    own = ar.COMPOSITES["attnlrp"].derive("own", add="ratio")
    first = ar.ExplainConfig(method="gamma") if name == "parameter" else ar.ExplainConfig()
    second = ar.ExplainConfig(**options | ({"method": own} if name == "rule" else {}))
    facts = [question_facts(ar.Explainer(classifier, config)) for config in (first, second)]
    assert said in list(question_lines(*facts))
    assert not list(question_lines(facts[0], facts[0]))


def test_a_default_that_is_named_is_no_difference(classifier):
    named = ar.ExplainConfig(max_length=64, read_at="word_embeddings", batch_size=2)
    facts = [question_facts(ar.Explainer(classifier, config)) for config in (ar.ExplainConfig(), named)]
    assert not list(question_lines(*facts))


def test_a_field_that_an_older_version_did_not_know_is_no_difference(folder):
    """Where it has its default; another value may be another model."""
    now = model_facts(ar.load(folder / "model"))
    for name, count in (("dense_width", 0), ("num_hidden_layers", 1)):
        before = now | {"config": {key: value for key, value in now["config"].items() if key != name}}
        assert len(list(model_lines(before, now))) == len(list(model_lines(now, before))) == count


def test_another_dtype_is_a_difference(folder):
    first, second = (model_facts(ar.load(folder / "model", dtype=dtype)) for dtype in ("float32", "bfloat16"))
    assert list(model_lines(first, second)) == ["dtype: it was float32, now bfloat16"]


def test_another_text_and_target_is_a_difference(folder, verify):
    (folder / "texts.csv").write_text(TEXTS.replace("good film", "bad film"))
    other = record(folder, "other", "--target", "positive")
    (folder / "texts.csv").write_text(TEXTS)
    code, lines, _ = verify("plain.json", "--against", other)
    assert code == 1
    assert lines[:2] == [
        "question: target was 'given', now 'positive'",
        "text 1 ('a good film') is not among those of the texts now",
    ]
    assert lines[2].startswith("text 2 ('bad'): its target was 'negative', now 'positive' (and ")
    assert lines[-1] == "differs: 1 of the model or the question, 3 of 4 texts, and 1 text not in the record"


def test_a_score_beyond_rounding_is_named_with_its_word(folder, verify):
    """By how much, and of what; what is within the bound is none."""
    made = read_record(folder / "plain.json")
    scores = made["texts"][0]["results"][0]["scores"]
    largest = max(map(abs, scores))
    for factor, expected in ((0.5, 0), (3, 1)):
        other = json.loads(json.dumps(made))
        changed = other["texts"][0]["results"][0]["scores"]
        changed[2] += factor * rounding.bounds_of("float32", "attnlrp")["scores"] * largest
        save_record(other | {"sha256": seal(other)}, folder / "changed.json")
        code, lines, _ = verify("plain.json", "--against", folder / "changed.json")
        assert code == expected
    assert lines[0].startswith(
        f"text 1 ('a good film'): word 3, 'good', was {scores[2]:.6g}, now {changed[2]:.6g}, which"
    )
    assert lines[1] == "differs: 0 of the model or the question, 1 of 4 texts"


def test_distances():
    assert rounding.distance("scores", [1.0, -4.0], [1.0, -3.0]) == 0.25
    assert rounding.distance("logits", [0.25], [0.5]) == 0.25  # of 1, as the logit is less
    assert rounding.distance("scores", [0.0, 0.0], [0.0, 0.0]) == 0
    assert rounding.distance("scores", [0.0], [1e-30]) == np.inf
    assert rounding.distance("scores", [None, 2.0], [None, 1.0]) == 0.5
    assert rounding.distance("scores", [None, 2.0], [1.0, 2.0]) == np.inf
    assert rounding.distance("scores", [1.0], [1.0, 0.0]) == np.inf


# Hashes in place of texts.


def test_hashes_keep_no_word(folder):
    text = (folder / "hashed.json").read_text()
    made = read_record(folder / "hashed.json")
    for word in ("good", "film", "witty"):
        assert word not in text
    assert set(made["texts"][0]) == {"sha256", "results"}
    assert made["salt"] != read_record(record(folder, "other", *GIVEN, "--hash-texts"))["salt"]


def test_hashes_are_verified_against_the_texts_in_any_order(folder, verify, tmp_path):
    head, *rows = TEXTS.splitlines()
    (tmp_path / "turned.csv").write_text("\n".join([head, *reversed(rows)]))
    assert verify("hashed.json", tmp_path / "turned.csv", *GIVEN[:2])[:2] == (0, ["equal, bit for bit: 4 texts"])
    (tmp_path / "fewer.csv").write_text("\n".join([head, *rows[:2], *rows[3:]]))
    code, lines, _ = verify("hashed.json", tmp_path / "fewer.csv", *GIVEN[:2])
    assert (code, lines[0]) == (1, "text 3 is not among those of the texts now")  # bad is there once in place of twice
    (tmp_path / "more.csv").write_text("\n".join([head, *rows, "new,positive", "newer,positive"]))
    code, lines, _ = verify("hashed.json", tmp_path / "more.csv", *GIVEN[:2])
    assert code == 1
    assert lines[-1] == "differs: 0 of the model or the question, 0 of 4 texts, and 2 texts not in the record"


def test_hashes_without_their_texts_cannot_be_verified(folder, verify):
    code, lines, err = verify("hashed.json")
    assert (code, lines) == (2, [])
    assert "hashes in place of texts; give the file" in err
    code, _, err = verify("hashed.json", "--against", folder / "plain.json")
    assert code == 2
    assert "one has words and the other hashes" in err


# What cannot be checked.


def edited(change):
    def write(path, made):
        change(made)
        save_record(made, path)

    return write


def resealed(made):
    made["question"]["method"] = made["question"].pop("name")
    made["sha256"] = seal(made)


FAULTS = {
    "half": (lambda path, made: path.write_text(json.dumps(made)[:2000]), "cannot be read as JSON"),
    "empty": (lambda path, made: path.write_text(""), "cannot be read as JSON"),
    "zip": (lambda path, made: zipfile.ZipFile(path, "w").close(), "cannot be read as JSON"),
    "other JSON": (lambda path, made: path.write_text("[1]"), "is no record"),
    "newer": (edited(lambda made: made.update(autorel_record=2)), "is a record of schema 2; this version reads 1"),
    "edited": (edited(lambda made: made["texts"][0]["results"][0]["scores"].reverse()), "is damaged or was edited"),
    "another layout": (edited(resealed), "was edited: question.name is not what a record holds there"),
    "without texts": (lambda path, made: path.write_text(json.dumps(made | {"texts": 3})), "is damaged or was edited"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_file_that_is_no_whole_record_is_refused_in_one_line(folder, verify, name):
    write, said = FAULTS[name]
    path = folder / "faulty.json"
    write(path, read_record(folder / "plain.json"))
    code, lines, err = verify("faulty.json")
    assert (code, lines, err.count("\n")) == (2, [], 1)
    assert said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", "none.json"), "none.json does not exist"),
        (("verify", "plain.json", "--model", "nowhere"), "nowhere"),
        (("verify", "plain.json", "--against", "plain.json", "--model", "model"), "leave out model"),
        (("record", "good", "-o", "record.txt"), "it is a .json file"),
        (("verify", "hashed.json", "texts.csv"), "name the column of the labels"),
        (("verify", "plain.json", "texts.csv", "--keep-columns", "text"), "no rows are written"),
        (("explain", "texts.csv", "--output", "o", "--record", "a.json"), "a .jsonl or .parquet with all columns"),
        (("explain", "texts.csv", "--output", "o.csv", "--record", "a.json"), "a .jsonl or .parquet with all columns"),
    ],
)
def test_what_cannot_be_done_is_refused(folder, monkeypatch, capsys, words, said):
    monkeypatch.chdir(folder)
    more = ("--model", "model") if words[0] != "verify" else ()
    assert call(*words, *more) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


# Every kind of run.


@pytest.mark.parametrize("output", [None, "out.html", "out.jsonl", "out.parquet"])
def test_explain_writes_the_same_record(folder, verify, output):
    flags = ("--output", folder / output) if output else ()
    path = record(folder, "explained", *GIVEN, "--audit", *flags, command="explain", to="--record")
    made, other = read_record(path), read_record(folder / "plain.json")
    targets = [[one["target"] for one in text["results"]] for text in made["texts"]]
    assert targets == [["positive"], ["negative"], ["neutral"], ["positive"]]
    for one in (made, other):
        one["texts"] = [{name: entry[name] for name in ("sha256", "text", "results")} for entry in one["texts"]]
    assert made["texts"] == other["texts"]
    assert verify("explained.json")[:2] == (0, ["equal, bit for bit: 4 texts"])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("tagger", (TEXT, "bad")),
        ("answerer", (QUESTION, "--pair", CONTEXT)),
        ("nli", ("a good film", "--zero-shot", "good,bad", "--method", "occlusion")),
        ("regression", ("a good film", "--method", "occlusion")),
        ("masked", (MASKED_TEXT, "--method", "occlusion")),
    ],
)
def test_other_heads(tmp_path, capsys, kind, words):
    """Also with hashes, which keep no word of an entity or an answer; the second text of the tagger has no entity."""
    writers = {"tagger": write_tagger, "answerer": write_answerer, "masked": write_masked}
    labels = {"nli": ("contradiction", "neutral", "entailment"), "regression": ("score",)}
    writer = writers.get(kind) or (lambda folder: write_model(folder, labels=labels[kind]))
    writer(tmp_path / "model")
    model = ("--model", tmp_path / "model")
    assert call("record", *words, *model, "-o", tmp_path / "a.json") == 0
    assert call("verify", tmp_path / "a.json") == 0
    if kind == "nli":
        (tmp_path / "in.txt").write_text(f"{words[0]}\nbad\n")
        outputs = ("--output", tmp_path / "out.jsonl", "--record", tmp_path / "out.json")
        assert call("explain", tmp_path / "in.txt", *words[1:], *model, *outputs) == 0
        assert call("verify", tmp_path / "out.json") == 0
    if kind == "masked":
        assert call("record", *words, *model, "-o", tmp_path / "b.json", "--hash-texts") == 2
        assert "of a mask words are all that is predicted" in capsys.readouterr().err
        return
    assert call("record", *words, *model, "-o", tmp_path / "b.json", "--hash-texts") == 0
    texts = words[:1] if kind in ("nli", "regression") else words
    assert call("verify", tmp_path / "b.json", *texts) == 0
    kept = json.dumps(read_record(tmp_path / "b.json")["texts"])
    assert not any(word in kept for word in ("film", "witty"))
    if kind == "answerer":
        assert call("record", *words, *model, "-o", tmp_path / "c.json", "--hash-texts", "--at", "film") == 2
        assert "--at names some; give word:NUMBER or token:NUMBER" in capsys.readouterr().err


def test_a_method_of_a_file(folder, verify, tmp_path):
    (tmp_path / "own.toml").write_text('name = "own"\nbase = "attnlrp"\n[ops]\nadd = "ratio"\n')
    record(folder, "own", "--composite-file", tmp_path / "own.toml", command="explain", to="--record")
    assert verify("own.json", "--composite-file", tmp_path / "own.toml")[0] == 0
    code, _, err = verify("own.json")
    assert code == 2
    assert "'own' is not known to this version" in err


def test_references_are_in_a_record(folder, verify, tmp_path, capsys):
    """Their texts, with which it is verified; hashes would keep their words. An older record knows nothing of them."""
    (tmp_path / "others.txt").write_text("a film\nnot a bad film\ngood\n")
    contrast = ("--method", "contrast_cat", "--set", "below=1", "--references", tmp_path / "others.txt")
    made = read_record(record(folder, "contrast", *contrast))
    assert made["question"]["asked"]["references"] == ["a film", "not a bad film", "good"]
    assert verify("contrast.json")[0] == 0
    again = ("record", folder / "texts.csv", "--model", folder / "model", "-o", tmp_path / "a.json")
    assert call(*again, *contrast, "--hash-texts") == 2
    assert "--references are kept as they are; leave one out" in capsys.readouterr().err
    question = read_record(folder / "plain.json")["question"]
    older = question | {"asked": {name: value for name, value in question["asked"].items() if name != "references"}}
    assert not list(question_lines(older, question))


def test_bounds_of_methods_that_divide_by_little_are_their_own():
    assert rounding.bounds_of("float32", "bert_lrp")["scores"] > rounding.bounds_of("float32", "attnlrp")["scores"]
    assert rounding.bounds_of("bfloat16", "bert_lrp") == rounding.BOUNDS["bfloat16"]
