"""Ledger and read-outs as a user gets them: from the library call, from the command, in reports and files."""

import html.parser
import io
import json
import os

import numpy as np
import pytest
from explanations import explanation
from models import refusal
from tolerances import BATCH, LEDGER_FLOAT32, SUM_FLOAT32

import autorel_jax as ar
from autorel_jax.attribution.scores import token_scores
from autorel_jax.cli.explain import main
from autorel_jax.report import html as report_html
from autorel_jax.report import terminal
from autorel_jax.report.ledger import Ledger

TEXTS = ["a good film", "bad", "not a good film, and not a bad one"]
PAIRS = ["bad", "a good film", "good"]
READOUTS = ("neurons", "heads", "layers", "positions")
ASKED = {"method": "gamma", "target": "all", "audit": True, "readouts": READOUTS, "neurons": 3, "batch_size": 4}


@pytest.fixture(scope="module")
def audited(classifier):
    """Every label of TEXTS and PAIRS, with a ledger and some read-outs."""
    return ar.explain(classifier, TEXTS, PAIRS, **ASKED)


def test_a_ledger_for_each_text_and_target(audited, classifier):
    assert [(e.text, e.target) for e in audited] == [
        (text, label) for text in TEXTS for label in classifier.config.labels
    ]
    for e in audited:
        kept = e.ledger
        assert kept.value == e.target_value
        assert abs(kept.rounding) <= LEDGER_FLOAT32 * np.abs(kept.items).sum()
        assert kept.words + kept.special_tokens == pytest.approx(e.explained, abs=SUM_FLOAT32)
        special = [word in ("[CLS]", "[SEP]") for word in e.words]
        assert kept.special_tokens == pytest.approx(e.word_relevance[special].sum(), abs=SUM_FLOAT32)
        assert kept.segments != 0
        assert all(array.shape == (classifier.config.num_hidden_layers + 2,) for array in kept.absorbed.values())


def test_read_outs_have_the_tokens_of_their_text(audited, classifier):
    config = classifier.config
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    for e in audited:
        tokens = len(e.tokens)
        assert {name: array.shape for name, array in e.readouts.items()} == {
            "positions": (tokens,),
            "layers": (layers + 1, tokens),
            "heads": (layers, heads, tokens),
            "neurons": (layers, 3),
            "neuron_relevance": (layers, 3),
        }
        assert e.readouts["positions"].sum() == pytest.approx(e.ledger.positions, abs=SUM_FLOAT32)


def test_scores_are_those_without_it(audited, classifier):
    plain = ar.explain(classifier, TEXTS, PAIRS, method="gamma", target="all")
    largest = max(np.abs(e.token_relevance).max() for e in plain)
    for e, expected in zip(audited, plain, strict=True):
        assert np.abs(e.token_relevance - expected.token_relevance).max() <= BATCH * largest
        assert expected.ledger is None
        assert expected.readouts == {}
        assert expected.to_dict()["ledger"] is None


def test_other_values_and_texts_do_not_recompile(audited, classifier):
    before = token_scores._cache_size()
    found = ar.explain(classifier, TEXTS[::-1], PAIRS[::-1], parameters={"gamma": 0.5}, **ASKED)
    assert token_scores._cache_size() == before
    assert found[0].ledger.words != audited[-3].ledger.words


def test_a_line_of_json_holds_it(audited):
    for e in audited:
        found = json.loads(json.dumps(e.to_dict(), allow_nan=False))
        kept = found["ledger"]
        items = [kept[name] for name in ("words", "special_tokens", "positions", "segments", "function", "rounding")]
        items += [amount for amounts in kept["absorbed"].values() for amount in amounts]
        assert sum(items) == pytest.approx(kept["value"], abs=SUM_FLOAT32)
        assert kept["conclusion"] == e.ledger.conclusion
        assert found["readouts"]["neurons"] == e.readouts["neurons"].tolist()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"readouts": "heads"}, "readouts='heads': expected a list of names of read-outs."),
        ({"readouts": ["logits"]}, "Unknown read-out 'logits'. Available: positions, segments, layers"),
        ({"neurons": 0}, "neurons=0: expected a whole number of at least 1."),
        ({"audit": True, "method": "bert_lrp"}, "bert_lrp has no audit and no read-outs"),
        ({"readouts": ["positions"], "read_at": "embeddings"}, "needs read_at='word_embeddings'"),
    ],
)
def test_what_cannot_be_told_is_refused(classifier, options, said):
    assert said in refusal(ar.explain, classifier, ["a"], **options)


@pytest.fixture
def run(model_folder, capsys):
    """Runs the command with the tiny model: (exit code, stdout, the last line on stderr)."""

    def call(*arguments):
        code = main([*map(str, arguments), "--model", str(model_folder)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()[-1]

    return call


def test_the_command(run, tmp_path):
    code, out, _ = run("a good film", "--audit")
    assert code == 0
    assert "  where the logit went\n" in out
    assert "biases of linear layers, most in" in out
    file = tmp_path / "out.jsonl"
    assert run("a good film", "--readout", "heads", "--readout", "neurons", "--neurons", "2", "--output", file)[0] == 0
    (found,) = map(json.loads, file.read_text().splitlines())
    assert found["readouts"].keys() == {"heads", "neurons", "neuron_relevance"}
    assert np.shape(found["readouts"]["neurons"]) == (3, 2)
    assert found["ledger"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--readout", "heads"), "--readout: this kind of output has no readouts; use .parquet, .jsonl, .npz, .html."),
        (("--readout", "heads", "--output", "a.csv"), "--readout: this kind of output has no readouts; use .parquet"),
        (
            ("--audit", "--output", "a.csv"),
            "--audit: this kind of output has no ledger; use .parquet, .jsonl, .npz, .html, the terminal.",
        ),
        (
            ("--output", "pipe.parquet"),
            "pipe.parquet: cannot write .parquet text by text, as into a pipe or a device; accepted: .jsonl, .csv, .h",
        ),
        (
            ("--readout", "heads", "--output", "pipe.parquet"),
            "--readout: this kind of output has no readouts; use .jsonl, .html.",
        ),
        (("--audit", "--output", "pipe.csv"), "--audit: this kind of output has no ledger; use .jsonl, .html."),
        (("--readout", "logits"), "invalid choice: 'logits'"),
        (("--audit", "--method", "bert_lrp"), "bert_lrp has no audit and no read-outs"),
    ],
)
def test_the_command_refuses_in_one_line(run, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pipe.parquet", "pipe.csv", "pipe.html"):
        os.mkfifo(name)
    code, out, error = run("a", *arguments)
    assert (code, out) == (2, "")
    assert said in error


KEPT = Ledger(1.5, 0.0, 0.15, 0.0, 0.0, {"linear.bias": np.array([0.0, 1.25, 0.1, 0.0])})


def test_plain_text():
    file = io.StringIO()
    terminal.show(explanation(ledger=KEPT), "word", file)
    assert file.getvalue().endswith(
        "  +0.250  +         [SEP]\n"
        "  where the logit went\n"
        "  +0.150  10 %  special tokens\n"
        "  +1.350  90 %  biases of linear layers, most in layer 1\n"
        "  90 % of this logit sits in biases, 10 % in the tokens: read the scores as relative to each other, not as "
        "parts of it.\n\n"
    )


def test_a_terminal_with_colour(monkeypatch):
    for name, value in (
        ("FORCE_COLOR", "1"),
        ("TERM", "xterm-256color"),
        ("COLORTERM", "truecolor"),
        ("COLUMNS", "100"),
    ):
        monkeypatch.setenv(name, value)
    file = io.StringIO()
    terminal.show(explanation(ledger=KEPT), "word", file)
    assert "90 %  biases of linear layers, most in layer 1" in file.getvalue()
    assert "90 % of this logit sits in biases" in file.getvalue()


class Text(html.parser.HTMLParser):
    """The text of a document."""

    def __init__(self, document):
        super().__init__()
        self.text = ""
        self.feed(document)

    def handle_data(self, data):
        self.text += data + " "


def test_html():
    text = " ".join(Text(report_html.fragment([explanation(ledger=KEPT)])).text.split())
    assert "where the logit went: 90 % of this logit sits in biases, 10 % in the tokens" in text
    assert "+1.350 90 % biases of linear layers, most in layer 1" in text
    assert "where the logit went" not in report_html.fragment([explanation()])
