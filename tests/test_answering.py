"""Training on answers: reading SQuAD, windows and places, metrics, the loss, and a model that is trained."""

import json
import signal
from contextlib import nullcontext
from types import SimpleNamespace

import answering as tiny
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import training
from models import VOCAB, refusal, tiny_config
from tolerances import LOSS, PARITY_FLOAT32
from training import call, refused, weights_of

import autorel_jax as ar
from autorel_jax.cli.train import resolve
from autorel_jax.data.splits import read_split, settle
from autorel_jax.data.task import TaskConfig
from autorel_jax.families.family import ANSWERS
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.training.answer_metrics import details, evaluate, f1, predicted, report, words
from autorel_jax.training.answering import in_windows
from autorel_jax.training.config import TrainConfig
from autorel_jax.training.loss import loss, rows_of_labels
from autorel_jax.training.run import train

LEARNT = 0.9  # F1 on dev
CONTEXT = "The film was long. A witty film!"


def entry(**changes):
    answers = [{"text": "witty film", "answer_start": 21}, {"text": "A witty film!", "answer_start": 19}]
    return {"id": "q1", "question": "what is good?", "answers": answers} | changes


def squad(*entries, context=CONTEXT):
    return json.dumps({"data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(entries)}]}]})


def flat(**changes):
    answers = {"text": ["witty film"], "answer_start": [21]}
    return {"id": "q1", "question": "what?", "context": CONTEXT, "answers": answers} | changes


def read(folder, content, name="train.json", **settings):
    (folder / name).write_text(content, encoding="utf-8")
    task = settle(TaskConfig(train=name, problem=ANSWERS, **settings), folder)
    return read_split(task, "train", folder)


# --- reading


@pytest.mark.parametrize("name", ["train.jsonl", "train.json", "train.parquet"])
def test_rows_that_say_whether_a_question_is_impossible(tmp_path, name):
    """As SQuAD's own JSON: true has no answer, false without one has no label."""
    none = {"text": [], "answer_start": []}
    rows = [flat(is_impossible=False), flat(is_impossible=True, answers=none), flat(is_impossible=None, answers=none)]

    def read_rows(rows, **settings):
        if name.endswith("parquet"):
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
            task = TaskConfig(train=name, problem=ANSWERS, **settings)
            return read_split(settle(task, tmp_path), "train", tmp_path)
        content = json.dumps(rows) if name.endswith("json") else "\n".join(map(json.dumps, rows))
        return read(tmp_path, content, name, format="json" if name.endswith("json") else None, **settings)

    assert [len(found) for found in read_rows(rows).labels] == [1, 0, 0]
    unsaid = flat(is_impossible=False, answers=none)
    assert "it has no answer, and is_impossible is not true" in refusal(read_rows, [rows[0], unsaid])
    left = read_rows([rows[0], unsaid], skip_unlabelled=True)
    assert (len(left), left.left_out) == (1, 1)
    assert "is_impossible is true, but answers are given" in refusal(read_rows, [flat(is_impossible=True)])
    assert "is_impossible is 1; expected true or false" in refusal(read_rows, [flat(is_impossible=1)])


def test_squad(tmp_path):
    none = entry(id="q2", answers=[], is_impossible=True, plausible_answers=[{"text": "x", "answer_start": 0}])
    split = read(tmp_path, squad(entry(), none), id="id")
    assert (split.texts, split.pairs, split.ids) == (["what is good?"] * 2, [CONTEXT] * 2, ["q1", "q2"])
    assert [[CONTEXT[start:end] for start, end in answers] for answers in split.labels] == [
        ["witty film", "A witty film!"],
        [],
    ]


def test_rows_of_json_lines_and_parquet(tmp_path):
    none = flat(id="q2", answers={"text": [], "answer_start": []})
    for content, name in (
        ("\n".join(map(json.dumps, (flat(), none))), "train.jsonl"),
        (json.dumps([flat(answers=[{"text": "witty film", "answer_start": 21}]), none]), "train.json"),
    ):
        settings = {"format": "json"} if name.endswith("json") else {}
        split = read(tmp_path, content, name, **settings)
        assert [tuple(map(tuple, answers)) for answers in split.labels] == [((21, 31),), ()]
    pq.write_table(pa.Table.from_pylist([flat(), none]), tmp_path / "in.parquet")
    split = read_split(settle(TaskConfig(train="in.parquet", problem=ANSWERS), tmp_path), "train", tmp_path)
    assert [tuple(map(tuple, answers)) for answers in split.labels] == [((21, 31),), ()]


@pytest.mark.parametrize(
    ("content", "settings", "said"),
    [
        (
            squad(entry(answers=[{"text": "witty film", "answer_start": 20}])),
            {},
            "question 'q1': the answer 'witty film' is not at answer_start=20, where the context has ' witty fil'; it "
            "stands at 21",
        ),
        (squad(entry(answers=[{"text": "dull", "answer_start": 0}])), {}, "the context does not hold it"),
        (squad(entry(answers=[{"text": "film", "answer_start": -28}])), {}, "is not at answer_start=-28"),
        (squad(entry(answers=[{"text": "", "answer_start": 0}])), {}, "an answer without text"),
        (
            squad(entry(answers=[{"text": "film", "answer_start": "4"}])),
            {},
            "answer_start '4' is not an answer",
        ),
        (squad(entry(answers=[{"text": "film"}])), {}, "answer_start None is not an answer; expected a string"),
        (squad(entry(answers=["film"])), {}, "expected a list of objects with text and answer_start"),
        (squad(entry(is_impossible=True)), {}, "expected a list, and an empty one where it is true"),
        (squad(entry(is_impossible="no", answers=[])), {}, "is_impossible is 'no', and answers []; expected"),
        (squad(entry(answers={"text": [], "answer_start": []})), {}, "is_impossible is False, and answers {'text'"),
        (squad(entry(answers=[])), {}, "question 'q1': it has no answer, and is_impossible is not true; give"),
        (squad(entry(answers=[], is_impossible=False)), {}, "question 'q1': it has no answer, and is_impossible is"),
        (
            squad(entry(), entry(question="what else?")),
            {},
            "qas 2: the id 'q1' is a duplicate, see ",
        ),
        (squad(entry(), entry()), {"id": "id"}, "'q1' is a duplicate"),
        (squad({"question": "x", "answers": []}), {"id": "id"}, "qas 1: the row has no column 'id'"),
        (json.dumps({"data": [{"title": "x"}]}), {}, "data 1: the row has no column 'paragraphs'"),
        (json.dumps([flat()]), {}, "is not SQuAD's JSON"),
        ("{", {}, "is not valid JSON"),
        ('{"data": [], "data": []}', {}, "the key 'data' stands twice"),
        (squad(entry()), {"labels": ("start", "stop")}, "answers have none"),
        (squad(entry()), {"clean": True}, "clean does not go with problem='question_answering'"),
        (squad(entry()), {"format": "csv"}, "format='csv' does not go with problem='question_answering'"),
    ],
)
def test_what_is_refused(tmp_path, content, settings, said):
    assert said in refusal(read, tmp_path, content, **settings)


def test_questions_about_one_context_are_held_out_together(tmp_path):
    paragraphs = [
        {"context": f"{word} film", "qas": [entry(id=f"{word}{n}", question=f"{n}?", answers=[])]}
        for word in ("a", "good", "long", "dull")
        for n in range(3)
    ]
    for paragraph in paragraphs:
        paragraph["qas"][0]["is_impossible"] = True
    (tmp_path / "train.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    task = settle(TaskConfig(train="train.json", problem=ANSWERS, dev_fraction=0.25), tmp_path)
    parts = [read_split(task, name, tmp_path) for name in ("train", "dev")]
    assert [len(part) for part in parts] == [9, 3]
    assert not set(parts[0].pairs) & set(parts[1].pairs)


# --- windows


def examples(folder, content, max_length=64, stride=None, most=30):
    return in_windows(read(folder, content, id="id"), load_tokenizer(VOCAB), max_length, stride, most)


def text_at(made, row, first, last):
    spans = made.spans[slice(*made.encoded.offsets[row : row + 2])]
    context = made.split.pairs[made.question[row]]
    return context[spans[first, 0] : spans[last, 1]]


def test_places_of_answers_are_those_of_their_first_and_last_piece(tmp_path):
    middle = entry(id="q2", answers=[{"text": "itty fil", "answer_start": 22}])  # whole pieces are learnt
    none = entry(id="q3", answers=[], is_impossible=True)
    made, lines = examples(tmp_path, squad(entry(), middle, none))
    assert [text_at(made, row, *made.labels[row]) for row in (0, 1)] == ["witty film", "itty film"]
    assert made.labels[2].tolist() == [0, 0]
    assert (made.texts, len(made)) == (3, 3)
    assert "  1 are impossible to answer: no answer is one of the predictions" in lines


def test_windows_that_do_not_hold_the_answer_point_at_the_first_token(tmp_path):
    made, lines = examples(tmp_path, squad(entry()), max_length=18, stride=2)
    assert len(made) == 4
    assert (made.encoded.lengths == 18).all()
    held = made.labels[:, 0] > 0
    assert 0 < held.sum() < len(made)
    for row in range(len(made)):
        if held[row]:
            assert text_at(made, row, *made.labels[row]) == "witty film"
        else:
            assert made.labels[row].tolist() == [0, 0]
            assert "witty film" not in text_at(made, row, 0 + made_first(made, row), made_last(made, row))
    assert f"  {len(made)} windows of at most max_length=18 tokens" in lines
    assert not any("learnt in no window" in line for line in lines)


def made_first(made, row):
    return int(np.flatnonzero(made.spans[slice(*made.encoded.offsets[row : row + 2])][:, 0] >= 0)[0])


def made_last(made, row):
    return int(np.flatnonzero(made.spans[slice(*made.encoded.offsets[row : row + 2])][:, 0] >= 0)[-1])


def test_answers_that_no_window_holds_and_questions_without_room(tmp_path):
    long = entry(answers=[{"text": CONTEXT, "answer_start": 0}])
    _, lines = examples(tmp_path, squad(long), max_length=12)
    assert any(
        "1 answers are learnt in no window: 0 of characters that the tokenizer drops, 1 longer" in x for x in lines
    )
    _, lines = examples(tmp_path, squad(entry(answers=[{"text": "\u200b", "answer_start": 0}]), context="\u200b film"))
    assert any("1 answers are learnt in no window: 1 of characters" in line for line in lines)
    assert "train, question 'q1': The question leaves no room" in refusal(examples, tmp_path, squad(entry()), 6)


# --- metrics


def test_words_that_count():
    assert words("The  Cat's, an  A. apple") == ["cats", "apple"]
    assert f1("the cat sat", "Cat sat down") == pytest.approx(0.8, rel=LOSS)  # two words of two and of three
    assert f1("film film", "film") == pytest.approx(2 / 3, rel=LOSS)  # a word counts as often as in both
    assert [f1("", ""), f1("", "film"), f1("film", ""), f1("the", "")] == [1, 0, 0, 1]


def certain(made, row, first, last):
    """The logits of a window that is sure of a span."""
    logits = np.zeros((made.lengths[row], 2), np.float32)
    logits[first, 0] = logits[last, 1] = 9
    return logits


def test_the_best_of_several_answers_counts_and_no_answer_is_one(tmp_path):
    none = entry(id="q2", answers=[], is_impossible=True)
    made, _ = examples(tmp_path, squad(entry(), none, entry(id="q3")))
    first, last = made.labels[0].tolist()
    logits = [certain(made, 0, first - 1, last), certain(made, 1, 0, 0), certain(made, 2, 0, 0)]
    assert list(predicted(made, logits)) == ["A witty film", "", ""]
    values = evaluate(None, made, logits)
    assert values == pytest.approx({"f1": 2 / 3, "exact_match": 2 / 3}, rel=LOSS)
    table = details(None, made, logits, values)
    assert table["answered"] == {"rows": 2, "f1": 0.5, "exact_match": 0.5}
    assert table["impossible"] == {"rows": 1, "f1": 1.0, "exact_match": 1.0}
    assert "f1 0.5000  exact_match 0.5000  (2 answered)" in report(table)
    logits[1][0, 0] = np.nan
    assert list(predicted(made, logits))[1] is None
    assert evaluate(None, made, logits)["exact_match"] == pytest.approx(1 / 3, rel=LOSS)


def test_where_each_question_has_an_answer_none_is_never_said(tmp_path):
    made, _ = examples(tmp_path, squad(entry()))
    logits = certain(made, 0, 0, 0)
    first, last = made.labels[0].tolist()
    logits[first, 0], logits[last, 1] = 1, 1
    assert list(predicted(made, [logits])) == ["witty film"]
    short, _ = examples(tmp_path, squad(entry()), most=1)
    assert list(predicted(short, [certain(short, 0, first, first)])) == ["w"]  # a piece, as explain has it


def test_the_best_window_answers(tmp_path):
    made, _ = examples(tmp_path, squad(entry()), max_length=18, stride=2)
    held = np.flatnonzero(made.labels[:, 0])[0]
    logits = [certain(made, row, *made.labels[row]) * (2 if row == held else 0.1) for row in range(len(made))]
    assert list(predicted(made, logits)) == ["witty film"]


# --- the loss


def answer_config():
    return tiny_config(labels=("start", "end"), task=ANSWERS)


def batch_of_answers(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, 12)).astype(np.float32), np.array([[1, 3], [0, 0]], np.int32)


def mean_loss(logits, labels, mask, weights):
    total, mass = loss(*rows_of_labels(answer_config(), *map(jnp.asarray, (logits, labels, mask, weights))))
    return float(total / mass)


def test_the_loss_is_the_mean_of_start_and_end_and_padding_has_no_say():
    logits, labels = batch_of_answers()
    mask = np.ones((2, 6), np.int32)
    mask[1, 4:] = 0
    each = logits.reshape(2, 6, 2).astype(np.float64)
    parts = []
    for row, length in ((0, 6), (1, 4)):
        logp = each[row, :length] - np.log(np.exp(each[row, :length]).sum(0))
        parts.append(-(logp[labels[row, 0], 0] + logp[labels[row, 1], 1]) / 2)
    assert mean_loss(logits, labels, mask, np.ones(2)) == pytest.approx(np.mean(parts), rel=1e-6)
    assert mean_loss(logits, labels, mask, np.array([0, 1.0])) == pytest.approx(parts[1], rel=1e-6)


@pytest.mark.parity
def test_the_loss_is_that_of_transformers():
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    logits, labels = batch_of_answers()
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4
    )
    model = transformers.BertForQuestionAnswering(config).eval()
    model.qa_outputs = torch.nn.Identity()
    hidden = transformers.modeling_outputs.BaseModelOutput(torch.tensor(logits.reshape(2, 6, 2)))
    model.bert.forward = lambda *args, **kwargs: hidden
    starts, ends = torch.tensor(labels).long().T
    found = model(input_ids=torch.zeros((2, 6), dtype=torch.long), start_positions=starts, end_positions=ends)
    ours = mean_loss(logits, labels, np.ones((2, 6), np.int32), np.ones(2))
    assert ours == pytest.approx(found.loss.item(), rel=1e-6)


# --- settings


def test_settings_that_are_of_other_tasks():
    answers, texts = TaskConfig(train="x", problem=ANSWERS), TaskConfig(train="x")
    assert "stride=5 is for question_answering" in refusal(TrainConfig, texts, stride=5)
    assert "answer_tokens=5 is for question_answering" in refusal(TrainConfig, texts, answer_tokens=5)
    assert "answers have no classes" in refusal(TrainConfig, answers, class_weights=("balanced",))
    assert "label_smoothing is for" in refusal(TrainConfig, answers, label_smoothing=0.1)


# --- a model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answering")
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
    assert f"train: {tiny.QUESTIONS['train']} questions" in trained.out
    found = json.loads((trained.output / "report.json").read_text())
    assert found["metrics"]["dev"]["f1"] > LEARNT
    assert found["report"]["dev"]["rows"] == tiny.QUESTIONS["dev"]
    assert found["report"]["dev"]["windows"] > tiny.QUESTIONS["dev"]
    config = json.loads((trained.output / "model/config.json").read_text())
    assert config["architectures"] == ["BertForQuestionAnswering"]
    card = (trained.output / "model/README.md").read_text()
    assert "pipeline_tag: question-answering" in card
    assert f"{tiny.QUESTIONS['train']} rows" in card


def test_its_strongest_word_is_the_cue(trained):
    reader = ar.load(trained.output / "model")
    (answer,) = ar.explain(reader, "this actor", "the film of good story was long")
    assert answer.span_text == "story"
    assert max(answer.as_list(), key=lambda pair: pair[1])[0] == tiny.CUE
    (none,) = ar.explain(reader, "this actor", "the film of story was long", null_answer=True)
    assert none.prediction.label == "no answer"


@pytest.mark.parity
def test_transformers_reads_it(trained):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    folder = str(trained.output / "model")
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pair = ("this actor", "the film of good story was long")
    with torch.no_grad():
        found = model(**tokenizer(*pair, return_tensors="pt"))
    theirs = torch.stack([found.start_logits[0], found.end_logits[0]], dim=-1).numpy()
    reader = ar.load(folder)
    (ours,) = reader.logits(reader.batch([pair[0]], [pair[1]]))
    np.testing.assert_allclose(np.asarray(ours).reshape(-1, 2)[: len(theirs)], theirs, rtol=0, atol=PARITY_FLOAT32)


@pytest.mark.slow
def test_resumed_it_has_the_same_bits(folder, tmp_path):
    """Parts, masked words and frozen layers; a signal ends the run after some steps, and it goes on."""
    given = {
        "config": folder / "task/task.toml",
        "accumulation": 2,
        "mask_words": True,
        "freeze_layers": 1,
        "max_steps": 12,
        "evaluate_every": 6,
        "select": "exact_match",
    }
    train(resolve(given | {"output": tmp_path / "whole"}), show=lambda line: None)
    steps = iter([0] * 5 + [signal.SIGTERM] * 9)
    again = resolve(given | {"output": tmp_path / "resumed"})
    with pytest.raises(SystemExit):
        train(again, listen=lambda: nullcontext(lambda: next(steps)), show=lambda line: None)
    train(again, resume=True, show=lambda line: None)
    assert weights_of(tmp_path / "whole") == weights_of(tmp_path / "resumed")


def test_what_the_command_refuses(folder, tmp_path):
    line = refused("--config", folder / "task/task.toml", "--output", tmp_path / "x", "--class-weights", "balanced")
    assert "answers have no classes" in line
