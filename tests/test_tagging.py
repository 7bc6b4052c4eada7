"""Training on a label for each word: reading, first pieces, schemes, metrics, and a tagger that is trained."""

import dataclasses
import json
import os
import shutil
import signal
from contextlib import nullcontext
from types import SimpleNamespace

import answering
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tagging as tiny
import training
from models import FAMILIES, VOCAB, refusal, tiny_config
from tolerances import DEVICES_NORMS, LOSS, PARITY_FLOAT32
from training import call, refused, weights_of

import autorel_jax as ar
from autorel_jax.attribution.entities import entities
from autorel_jax.cli.train import resolve
from autorel_jax.data.splits import read_split, settle
from autorel_jax.data.task import TaskConfig
from autorel_jax.families.family import TOKEN_LABELS
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.training.config import TrainConfig
from autorel_jax.training.loss import IGNORED, class_weights, loss, rows_of_labels
from autorel_jax.training.prepare import fingerprint, prepare, tagged
from autorel_jax.training.run import train
from autorel_jax.training.schemes import scheme
from autorel_jax.training.tag_metrics import NOTHING, as_entities, details, evaluate, predicted, report
from autorel_jax.training.tagging import examples_of, sentences

LEARNT = 0.9  # F1 of entities on dev
IOB = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")


# --- reading


def read(folder, content, name="train.conll", **settings):
    """The task with its labels settled, and its only split."""
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    task = settle(TaskConfig(train=name, problem=TOKEN_LABELS, **settings), folder)
    return task, read_split(task, "train", folder)


def named(task, split):
    return [[task.labels[label] for label in row] for row in split.labels]


def test_conll(tmp_path):
    content = (
        "-DOCSTART- -X- O\r\n\r\nEU NNP  B-ORG\r\nrejects\tVBZ\tO\r\n\r\n \t\nNew\u00a0York NNP B-LOC\n"
        "-DOCSTART-\nthe DT O\nend NN O"
    )
    task, split = read(tmp_path, content)
    assert split.texts == [("EU", "rejects"), ("New\u00a0York",), ("the", "end")]
    assert task.labels == ("B-LOC", "B-ORG", "O")
    assert named(task, split) == [["B-ORG", "O"], ["B-LOC"], ["O", "O"]]


def test_conll_of_old_macs(tmp_path):
    task, split = read(tmp_path, "a O\rb X\r\rc O\r")
    assert (split.texts, named(task, split)) == ([("a", "b"), ("c",)], [["O", "X"], ["O"]])


def test_conll_columns_by_name_and_words_with_blanks(tmp_path):
    content = "1\tNew York\tLOC\tx\n2\tand\tO\tx\n"
    settings = {"columns": ("number", "word", "kind", "more"), "text": "word", "label": "kind", "delimiter": "tab"}
    task, split = read(tmp_path, content, **settings)
    assert (split.texts, named(task, split)) == ([("New York", "and")], [["LOC", "O"]])


@pytest.mark.parametrize(
    ("content", "settings", "said"),
    [
        ("a O\nb B-X c\n", {}, "line 2: 3 columns, but 2 above"),
        ("a\nb\n", {}, "from line 1: 1 column, but at least two"),
        ("word tag\na O\nb X\n", {}, "the first line is a header (word tag); take it out"),
        ("w l\na O\nb X\n", {"columns": ("w", "l"), "text": "w", "label": "l"}, "the first line is a header"),
        ("a O\nb X\n", {"columns": ("w", "x", "l"), "text": "w", "label": "l"}, "2 columns, but columns names 3"),
        ("a O\nb X\n", {"text": "word"}, "no header to find the column 'word' in; name all its columns"),
        ("a O\nb X\n", {"id": "id"}, "sentences of a CoNLL file have none"),
        ("a O\nb O\n", {}, "only the label 'O'"),
        ("a O\nb X\n", {"labels": ("O", "Y")}, "from line 1, word 2: the label 'X' is unknown; accepted: 'O', 'Y'"),
        ("a\tO\n\tX\n", {"delimiter": "tab", "labels": ("O", "Y")}, "word 2: the label 'X' is unknown"),
        ("a\tO\nb\t\n", {"delimiter": "tab"}, "word 2: '' is no label"),
        (b"a O\nb\xff X\n", {}, "line 2: not utf-8"),
        ("\n\n", {}, "is empty"),
    ],
)
def test_conll_that_is_refused(tmp_path, content, settings, said):
    assert said in refusal(read, tmp_path, content, **settings)


def lines(*rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def test_json_lines_and_parquet_with_names_or_numbers(tmp_path):
    rows = [{"tokens": ["Ann", "ran"], "tags": ["PER", "O"]}, {"tokens": ["no"], "tags": ["O"]}]
    task, split = read(tmp_path, lines(*rows), "train.jsonl")
    assert (split.texts, named(task, split)) == ([("Ann", "ran"), ("no",)], [["PER", "O"], ["O"]])
    pq.write_table(pa.table({"words": [["Ann", "ran"], []], "ner": [[1, 0], []]}), tmp_path / "in.parquet")
    for labels in (("O", "PER"), ("O", "I-PER")):  # whose I is no Roman figure
        found = TaskConfig(train="in.parquet", problem=TOKEN_LABELS, text="words", label="ner", labels=labels)
        split = read_split(found, "train", tmp_path)
        assert (split.texts, named(found, split)) == ([("Ann", "ran"), ()], [[labels[1], "O"], []])


@pytest.mark.parametrize(
    ("row", "settings", "said"),
    [
        ({"tokens": ["a", "b"], "tags": [0, 1]}, {}, "word 1: the label 0 is a number; name the labels"),
        ({"tokens": ["a", "b"], "tags": ["O"]}, {"labels": ("O", "X")}, "2 words but 1 labels"),
        ({"tokens": ["a", "b"], "tags": ["O", None]}, {}, "word 2: None is no label"),
        ({"tokens": ["a", "b"], "tags": ["O", True]}, {}, "word 2: True is no label"),
        ({"tokens": ["a", "b"], "tags": [0, -100]}, {"labels": ("O", "PER")}, "the label '-100' is unknown"),
        ({"tokens": ["a", "b"], "tags": [["O"], "X"]}, {}, "word 1: ['O'] is no label"),
        ({"tokens": ["a", "b"], "tags": [["O"], "X"]}, {"labels": ("O", "X")}, "word 1: ['O'] is no label"),
        ({"tokens": ["a", "b"], "tags": "O X"}, {}, "expected a list with a label for each word"),
        ({"tokens": "a b", "tags": ["O", "X"]}, {"labels": ("O", "X")}, "'tokens' is a str; the words"),
        ({"tokens": ["a", 1], "tags": ["O", "X"]}, {}, "word 2 is 1; a word is a string"),
        ({"tokens": ["a"], "tags": None}, {}, "the label is null"),
        ({"text": ["a"], "tags": ["O"]}, {}, "no column 'tokens'"),
    ],
)
def test_rows_that_are_refused(tmp_path, row, settings, said):
    good = {"tokens": ["a", "b"], "tags": ["O", "X"]}
    assert said in refusal(read, tmp_path, lines(row, good), "train.jsonl", **settings)


def test_rows_without_labels_are_left_out_on_request(tmp_path):
    rows = [{"tokens": ["a"], "tags": None}, {"tokens": ["b", "c"], "tags": ["O", "X"]}]
    _, split = read(tmp_path, lines(*rows), "train.jsonl", skip_unlabelled=True)
    assert (split.texts, split.left_out) == ([("b", "c")], 1)
    said = refusal(read, tmp_path, "a O\nb X\n", skip_unlabelled=True)
    assert "skip_unlabelled=true does not go with" in said


def test_sentences_that_are_equal_are_held_out_together(tmp_path):
    rows = [{"tokens": [word, "x"], "tags": ["O", "X"]} for word in "abcde" * 2]
    (tmp_path / "train.jsonl").write_text(lines(*rows))
    task = TaskConfig(train="train.jsonl", problem=TOKEN_LABELS, labels=("O", "X"), dev_fraction=0.4)
    parts = [set(read_split(task, name, tmp_path).texts) for name in ("train", "dev")]
    assert [len(part) for part in parts] == [3, 2]
    assert not parts[0] & parts[1]


def test_formats_and_settings_that_do_not_fit(tmp_path):
    (tmp_path / "train.tsv").write_text("a\tO\n")
    said = refusal(settle, TaskConfig(train="train.tsv", problem=TOKEN_LABELS), tmp_path)
    assert "whatever the suffix, is format = 'conll'" in said
    csv = TaskConfig(train="train.tsv", problem=TOKEN_LABELS, format="csv")
    assert "format='csv' does not go with problem='token_classification'" in refusal(settle, csv, tmp_path)
    text = TaskConfig(train="train.tsv", format="conll")
    assert "does not go with problem='single_label_classification'" in refusal(settle, text, tmp_path)
    for name, value in {"pair": "x", "clean": True, "tfds": "conll2003"}.items():
        said = refusal(TaskConfig, train="x", problem=TOKEN_LABELS, **{name: value})
        assert f"{name} does not go with problem='token_classification'" in said


# --- first pieces

WORDS = ("the", "unfathomable", "film", "\u200b", "was", "good")


def tokens_of(words, max_length, side="right"):
    tokenizer = load_tokenizer(VOCAB, truncation_side=side)
    (one,) = sentences(tokenizer, [words], max_length)
    pieces = tokenizer([" ".join(words)], max_length=max_length)[0]
    np.testing.assert_array_equal(one.ids, pieces.ids)  # as they are read when they are explained
    return one, pieces.pieces


def test_a_label_is_at_the_first_piece_of_its_word():
    one, pieces = tokens_of(WORDS, 64)
    assert one.dropped == 1
    assert sum(piece.startswith("##") for piece in pieces) >= 2
    expected, word = [], -1
    for piece in pieces:
        starts = piece not in ("[CLS]", "[SEP]") and not piece.startswith("##")
        word += starts + (starts and word == 2)  # the fourth has no piece
        expected.append(word if starts else -1)
    assert one.words.tolist() == expected
    made = examples_of([one, one], [np.arange(6, dtype=np.int32), np.arange(6, dtype=np.int32)[::-1]], 0)
    batch = made.batch(np.array([1]), len(pieces) + 2, 1, 2)
    assert batch.labels[0, 0].tolist() == [IGNORED if n < 0 else 5 - n for n in expected] + [IGNORED] * 2
    assert (batch.labels[0, 1] == IGNORED).all()  # a row that only pads


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_word_whose_first_piece_is_cut_off_has_no_label(side):
    for length in range(3, 10):
        one, pieces = tokens_of(WORDS, length, side)
        for piece, word in zip(pieces, one.words.tolist(), strict=True):
            assert (word >= 0) == (piece not in ("[CLS]", "[SEP]") and not piece.startswith("##"))
            assert word < 0 or WORDS[word].startswith(piece)


def test_lines_that_say_what_is_not_read(tmp_path):
    start = SimpleNamespace(tokenizer=load_tokenizer(VOCAB))
    rows = [{"tokens": list(WORDS), "tags": ["O"] * 5 + ["X"]}, {"tokens": ["\u200b"], "tags": ["O"]}]
    task, split = read(tmp_path, lines(*rows), "train.jsonl")
    config = TrainConfig(task, max_length=8)
    made, said = tagged(split, start, config, task.labels)
    assert "  7 words: O 6 (85.7 %), X 1 (14.3 %)" in said
    (lost,) = [line for line in said if "not read" in line]
    assert "words are not read, with their labels" in lost
    assert "behind max_length=8, 2 that the tokenizer drops" in lost
    assert "  1 of the sentences have no word that is read, and are left out" in said
    assert len(made) == 1
    (tmp_path / "none.jsonl").write_text(lines({"tokens": ["\u200b", "\u200b"], "tags": ["O", "X"]}))
    none = read_split(TaskConfig(train="none.jsonl", problem=TOKEN_LABELS, labels=("O", "X")), "train", tmp_path)
    assert "no sentence of train has a word that the model reads" in refusal(tagged, none, start, config, ("O", "X"))


# --- schemes


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["B-A I-A O B-A B-A"], "labels are IOB2: each entity begins with B-; 1 kind: A"),
        (["I-A I-A B-A O", "O I-B I-A"], "labels are IOB1: 3 entities begin with I-, and B- parts neighbours"),
        (["B-A O I-A"], "neither IOB1 nor IOB2: 1 entities begin with B- and 1 with I-"),
        (["I-A I-A O"], "labels are IO: neighbours"),
        (["B-A I-A E-A S-A O"], "labels are IOBES; 1 kind: A"),
        (["B-A I-A L-A U-A O"], "labels are BILOU; 1 kind: A"),
        (["A A O B"], "labels without B- and I-: neighbours of one label are one entity; 2 kinds: A, B"),
        (["B-A I-A O C"], "2 kinds: A, C; without a prefix: C"),
        (["N V"], "none is O, so every word is of some entity: --select accuracy"),
    ],
)
def test_scheme(rows, said):
    labels = sorted({label for row in rows for label in row.split()})
    assert said in scheme(labels, [np.array([labels.index(label) for label in row.split()]) for row in rows])


# --- metrics


def judged(gold, found, labels=IOB):
    """The metrics of sentences, written as strings of labels; - is a word that was not read."""
    number = {label: i for i, label in enumerate(labels)} | {"-": NOTHING}
    gold, found = ([np.array([number[x] for x in row.split()], np.int32) for row in rows] for rows in (gold, found))
    examples = SimpleNamespace(gold=gold)
    task = SimpleNamespace(labels=labels)
    return evaluate(task, examples, found), (task, examples, found)


def test_f1_by_hand():
    gold = ["B-PER I-PER O B-LOC", "O B-LOC B-LOC"]
    found = ["B-PER I-PER O B-PER", "I-LOC O B-LOC"]  # 2 of 4 right: an entity may begin with I-
    values, _ = judged(gold, found)
    assert values == pytest.approx({"f1": 0.5, "precision": 0.5, "recall": 0.5, "accuracy": 4 / 7}, rel=LOSS)


def test_words_that_are_not_read_count():
    values, arguments = judged(["B-PER O B-LOC O"], ["B-PER - - O"])
    assert values == pytest.approx({"f1": 2 / 3, "precision": 1, "recall": 0.5, "accuracy": 0.5}, rel=LOSS)
    arguments[1].__dict__["encoded"] = None
    table = details(arguments[0], Sized(arguments[1].gold), arguments[2], values)
    assert (table["rows"], table["words"], table["unread"]) == (1, 4, 2)
    assert [(entry["entity"], entry["support"], entry["predicted"], entry["f1"]) for entry in table["entities"]] == [
        ("LOC", 1, 0, 0.0),
        ("PER", 1, 1, 1.0),
    ]
    shown = report(table)
    assert "f1 0.6667" in shown
    assert "which count as wrong and of no entity: 2." in shown


class Sized(SimpleNamespace):
    def __init__(self, gold):
        super().__init__(gold=gold)

    def __len__(self):
        return len(self.gold)


@pytest.mark.parametrize(
    ("labels", "gold", "found", "f1"),
    [
        (("B-A", "E-A", "I-A", "O", "S-A"), "B-A E-A S-A S-A O", "B-A E-A B-A E-A O", 2 / 5),  # of 3 and 2
        (("B-A", "I-A", "L-A", "O", "U-A"), "B-A L-A U-A U-A O", "B-A L-A B-A L-A O", 2 / 5),
        (("A", "B", "O"), "A A O B", "A A O A", 0.5),
        (("B-A", "I-A", "O"), "I-A I-A B-A O", "B-A I-A B-A O", 1),  # IOB1 against IOB2: the same entities
        (("O", "X"), "O O", "O O", 0),  # none, and 0 / 0 is 0
    ],
)
def test_schemes_are_read_as_they_are_explained(labels, gold, found, f1):
    values, (_, _, rows) = judged([gold], [found], labels)
    assert values["f1"] == pytest.approx(f1, rel=LOSS)
    tagged_words = as_entities(labels, rows)[0]
    logits = np.eye(len(labels))[rows[0]] * 9
    explained = entities(logits, logits, labels, np.zeros(len(rows[0]), bool))
    from seqeval.metrics.sequence_labeling import get_entities

    assert [(e.name, e.tokens[0], e.tokens[-1]) for e in explained] == get_entities(tagged_words)


def test_a_nan_predicts_nothing():
    one, _ = tokens_of(("the", "film"), 8)
    examples = examples_of([one], [np.array([0, 1], np.int32)], 0)
    logits = np.zeros((1, 6, 2), np.float32)
    logits[0, 1, 1], logits[0, 2, 0] = 1, np.nan
    assert [row.tolist() for row in predicted(examples, np.array([0]), logits)] == [[1, NOTHING]]


# --- the loss


def batch_of_labels(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (2, 6)).astype(np.int32)
    labels[0, [0, 3, 5]] = labels[1, 0] = IGNORED
    return rng.standard_normal((2, 18)).astype(np.float32), labels


def token_config():
    return tiny_config(labels=("O", "A", "B"), task=TOKEN_LABELS)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_mean_over_labelled_tokens(weighted):
    logits, labels = batch_of_labels()
    scale = np.array([1.0, 3.0, 0.5]) if weighted else np.ones(3)
    rows = rows_of_labels(token_config(), jnp.asarray(logits), jnp.asarray(labels), None, jnp.ones(2))
    total, mass = loss(*rows, class_weights=scale)
    each = logits.reshape(2, 6, 3).astype(np.float64)
    logp = each - np.log(np.exp(each).sum(-1, keepdims=True))
    there = [(r, t) for r in range(2) for t in range(6) if labels[r, t] != IGNORED]
    expected = -sum(scale[labels[place]] * logp[place][labels[place]] for place in there)
    assert float(mass) == pytest.approx(sum(scale[labels[place]] for place in there), rel=1e-6)
    assert float(total) == pytest.approx(expected, rel=1e-6)
    padded = rows_of_labels(token_config(), jnp.asarray(logits), jnp.asarray(labels), None, jnp.array([1.0, 0.0]))
    assert float(loss(*padded)[1]) == sum(row == 0 for row, _ in there)


@pytest.mark.parity
def test_the_loss_is_that_of_transformers():
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    logits, labels = batch_of_labels()
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=3, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4, num_labels=3
    )
    model = transformers.BertForTokenClassification(config).eval()
    model.classifier = torch.nn.Identity()
    hidden = transformers.modeling_outputs.BaseModelOutput(torch.tensor(logits.reshape(2, 6, 3)))
    model.bert.forward = lambda *args, **kwargs: hidden
    found = model(input_ids=torch.zeros((2, 6), dtype=torch.long), labels=torch.tensor(labels).long(), return_dict=True)
    total, mass = loss(*rows_of_labels(token_config(), jnp.asarray(logits), jnp.asarray(labels), None, jnp.ones(2)))
    assert float(total / mass) == pytest.approx(found.loss.item(), rel=1e-6)


def test_balanced_weights_count_words():
    task = TaskConfig(train="x", problem=TOKEN_LABELS, labels=("O", "X"))
    config = TrainConfig(task, class_weights=("balanced",))
    assert class_weights(config, np.array([0, 0, 0, 1]), 2).tolist() == [4 / 6, 2]


def test_another_dropout_in_the_head_is_another_run():
    """Which the config's repr, by which a run knows its model again, leaves out."""

    def made(**changes):
        config = dataclasses.replace(FAMILIES["distilbert"], **{"task": "question_answering", **changes})
        start = SimpleNamespace(config=config, tokenizer=SimpleNamespace(fingerprint="a"), params={})
        return fingerprint([], ("O", "X"), start)

    assert made() == made()
    assert len({made(), made(answers_dropout=0.4), made(task=TOKEN_LABELS)}) == 3


# --- a tagger


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagging")
    training.write_encoder(folder / "encoder")
    tiny.write_task(folder / "task")
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    """A finished run and what it said."""
    code, out, err = call("--config", folder / "task/task.toml", "--output", folder / "run")
    assert (code, err) == (0, "")
    return SimpleNamespace(output=folder / "run", out=out)


def test_it_learns_and_says_what_it_does(trained):
    assert "labels are IOB2: each entity begins with B-; 2 kinds: LOC, PER" in trained.out
    assert "train: 96 rows" in trained.out
    assert "new: classifier" in trained.out
    found = json.loads((trained.output / "report.json").read_text())
    assert found["metrics"]["dev"]["f1"] > LEARNT
    assert found["report"]["dev"]["rows"] == tiny.SENTENCES["dev"]
    assert found["report"]["dev"]["words"] == sum(len(words) for words, _ in tiny.sentences("dev"))
    assert {entry["entity"] for entry in found["report"]["dev"]["entities"]} == {"LOC", "PER"}
    config = json.loads((trained.output / "model/config.json").read_text())
    assert config["architectures"] == ["BertForTokenClassification"]
    assert list(config["id2label"].values()) == list(IOB)
    card = (trained.output / "model/README.md").read_text()
    assert "pipeline_tag: token-classification" in card
    assert "| f1 |" in card


def test_its_strongest_word_is_the_cue(trained):
    """Which word made "film" what it is, and not the other kind: the one before it, by which the labels were made."""
    tagger = ar.load(trained.output / "model")
    text = "the actor of bad film movie was a story"
    (entity,) = ar.explain(tagger, text)
    assert (entity.target, entity.span_text) == ("LOC", "film movie")
    (why,) = ar.explain(tagger, text, at="film", contrast=("B-LOC", "B-PER"))
    assert max(why.as_list(), key=lambda pair: pair[1])[0] == "bad"


@pytest.mark.parity
def test_transformers_reads_it(trained):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    folder = str(trained.output / "model")
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = "the actor of bad film movie was a story"
    with torch.no_grad():
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0].numpy()
    tagger = ar.load(folder)
    (ours,) = tagger.logits(tagger.batch([text]))
    np.testing.assert_allclose(np.asarray(ours).reshape(-1, 5)[: len(logits)], logits, rtol=0, atol=PARITY_FLOAT32)
    assert [model.config.id2label[i] for i in logits.argmax(-1)][5:7] == ["B-LOC", "I-LOC"]


def stopped_and_resumed(config):
    """A run that a signal ends after five steps, and that then goes on."""
    steps = iter([0] * 5 + [signal.SIGTERM] * 9)
    with pytest.raises(SystemExit):
        train(config, listen=lambda: nullcontext(lambda: next(steps)), show=lambda line: None)
    train(config, resume=True, show=lambda line: None)


@pytest.mark.slow
def test_resumed_it_has_the_same_bits_with_every_setting(folder, tmp_path):
    """Parts, weights of classes, masked words, frozen layers and smoothing; then the same on the whole as in parts."""
    given = {
        "config": folder / "task/task.toml",
        "accumulation": 2,
        "class_weights": ("balanced",),
        "mask_words": True,
        "freeze_layers": 1,
        "label_smoothing": 0.1,
        "max_steps": 12,
        "evaluate_every": 6,
        "early_stopping": 3,
        "select": "recall",
    }
    train(resolve(given | {"output": tmp_path / "whole"}), show=lambda line: None)
    stopped_and_resumed(resolve(given | {"output": tmp_path / "resumed"}))
    assert weights_of(tmp_path / "whole") == weights_of(tmp_path / "resumed")
    train(resolve(given | {"output": tmp_path / "one", "accumulation": 1}), show=lambda line: None)
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "one")
    ]
    assert losses[0][0] == pytest.approx(losses[1][0], rel=0.3)  # other keys of dropout, the same loss


@pytest.mark.slow
@pytest.mark.parametrize("task", [tiny, answering], ids=["tags", "answers"])
def test_four_devices_train_as_one(folder, task, tmp_path):
    """Losses, gradients' norms and metrics of eight steps, with parameters divided among the devices."""
    (tmp_path / "encoder").symlink_to(folder / "encoder")
    task.write_task(tmp_path / "task", max_steps=8, evaluate_every=8, log_every=1, learning_rate=1e-4)
    found = []
    for devices, layout in ((1, "replicate"), (4, "fsdp")):
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
        output = tmp_path / layout
        arguments = ("--config", tmp_path / "task/task.toml", "--output", output, "--devices", devices)
        started = training.start(*arguments, "--layout", layout, env=os.environ | {"XLA_FLAGS": flags})
        code, _, err = training.finished(started)
        assert code == 0, err
        found.append([{k: v for k, v in line.items() if k != "split"} for line in training.metrics_of(output)])
    assert len(found[0]) == 9
    for one, four in zip(*found, strict=True):
        assert four == pytest.approx(one, rel=DEVICES_NORMS)


@pytest.mark.slow
def test_a_tagger_is_trained_further_and_a_classifier_becomes_one(folder, trained, tmp_path):
    said = []
    again = resolve({"config": folder / "task/task.toml", "model": str(trained.output / "model"), "max_steps": 1})
    prepare(again, None, said.append)
    assert any("the checkpoint's own head is trained further" in line for line in said)
    shutil.copytree(trained.output / "model", tmp_path / "model")
    training.write_task(tmp_path / "texts")
    line = refused("--config", tmp_path / "texts/task.toml", "--model", tmp_path / "model", "--output", tmp_path / "x")
    assert "is a model for token_classification, and the task is labels of whole texts" in line


def test_what_other_splits_must_have(folder, tmp_path):
    """A label that train does not have ends the run, before a step is taken."""
    shutil.copytree(folder / "task", tmp_path / "task")
    (tmp_path / "task/dev.conll").write_text("a X O\nfilm X B-ORG\n")
    line = refused("--config", tmp_path / "task/task.toml", "--model", folder / "encoder", "--output", tmp_path / "x")
    assert "dev.conll, sentence from line 1, word 2: the label 'B-ORG' is unknown; accepted: 'B-LOC'" in line
    assert not (tmp_path / "x").exists()
