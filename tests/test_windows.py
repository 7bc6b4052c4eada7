"""windows.py and --long windows: every piece is read, totals are kept, and the text's decision is explained."""

import dataclasses
import json

import numpy as np
import pytest
from models import refusal
from tolerances import BATCH, METHOD_SUM, SUM_FLOAT32, SUM_FLOAT64

import autorel_jax as ar
from autorel_jax.cli.explain import main
from autorel_jax.families.bert import BERT
from autorel_jax.text import windows

# Each is one word piece.
WORDS = ["the", "good", "film", "and", "not", "bad", "one", "great", "funny", "sad", "but", "never", "really"]


def test_cut_by_hand():
    assert windows.cut(5, 8, 4) == [range(5)]
    assert windows.cut(8, 8, 4) == [range(8)]
    assert windows.cut(9, 8, 4) == [range(8), range(1, 9)]
    assert windows.cut(20, 8, 4) == [range(8), range(4, 12), range(8, 16), range(12, 20)]
    assert windows.cut(18, 8, 8) == [range(8), range(8, 16), range(10, 18)]


def test_weights_by_hand():
    """9 pieces in [0, 8) and [1, 9): the first piece has one vote for the first window, the seven shared ones half."""
    np.testing.assert_allclose(windows.weights([range(8), range(1, 9)], 9), [0.5, 0.5], rtol=0, atol=SUM_FLOAT64)
    np.testing.assert_allclose(
        windows.weights([range(4), range(4, 8), range(6, 10)], 10), [0.4, 0.3, 0.3], rtol=0, atol=SUM_FLOAT64
    )


@pytest.mark.parametrize("pieces", [9, 17, 20, 100])
@pytest.mark.parametrize("stride", [1, 3, 8])
def test_every_piece_is_in_a_window_and_totals_are_kept(pieces, stride):
    ranges = windows.cut(pieces, 8, stride)
    assert sorted({piece for window in ranges for piece in window}) == list(range(pieces))
    assert {len(window) for window in ranges} == {8}
    weights = windows.weights(ranges, pieces)
    assert weights.sum() == pytest.approx(1, abs=SUM_FLOAT64)
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal((2, len(window) + 2)) for window in ranges]
    whole = windows.stitch(parts, ranges, weights, pieces, BERT.tokens.single)
    assert whole.shape == (2, pieces + 2)
    totals = sum(weight * part.sum(axis=1) for weight, part in zip(weights, parts, strict=True))
    np.testing.assert_allclose(whole.sum(axis=1), totals, rtol=0, atol=SUM_FLOAT64)


@pytest.fixture(scope="module")
def long_text():
    return " ".join(np.random.default_rng(1).choice(WORDS, 70))


def by_hand(classifier, text, room, stride, target, **options):
    """Logits and relevance of the text, from calls for each window as a text of its own."""
    pieces = text.split()  # each word of WORDS is one piece of the test vocabulary
    ranges = windows.cut(len(pieces), room, stride)
    weights = windows.weights(ranges, len(pieces))
    logits, relevance = 0, np.zeros(len(pieces) + 2)
    for window, weight in zip(ranges, weights, strict=True):
        (made,) = ar.explain(classifier, " ".join(pieces[place] for place in window), target=target, **options)
        logits = logits + weight * made.logits
        relevance[[0, -1]] += weight * made.token_relevance[[0, -1]]
        relevance[window.start + 1 : window.stop + 1] += weight * made.token_relevance[1:-1]
    return logits, relevance


def test_a_long_text_is_the_weighted_mean_of_its_windows(classifier, long_text):
    short = "a good film"
    every = ar.explain(classifier, [short, long_text], target="all", long="windows", max_length=22, stride=7)
    for made, label in zip(every[3:], classifier.config.labels, strict=True):
        logits, relevance = by_hand(classifier, long_text, 20, 7, label)
        np.testing.assert_allclose(made.logits, logits, rtol=0, atol=BATCH)
        np.testing.assert_allclose(made.token_relevance, relevance, rtol=0, atol=BATCH * abs(relevance).max())
        assert made.explained == pytest.approx(relevance.sum(), abs=SUM_FLOAT32)
        assert made.words == ("[CLS]", *long_text.split(), "[SEP]")
        assert made.truncated_tokens == 0
        assert [(window.start, window.end) for window in made.windows][-1] == (51, 71)
        assert sum(window.weight for window in made.windows) == pytest.approx(1, abs=SUM_FLOAT64)
        assert sum(w.weight * w.logits for w in made.windows) == pytest.approx(made.logits, abs=BATCH)
    plain = ar.explain(classifier, short, target="all")
    for made, other in zip(every[:3], plain, strict=True):
        assert made.windows == ()
        np.testing.assert_allclose(made.token_relevance, other.token_relevance, rtol=0, atol=BATCH)


def test_a_pair_is_cut_off_and_says_so(classifier, long_text):
    told = "long='windows' is for single texts: this pair is cut off, as without it"
    for pair, said in ((long_text, True), ("bad", False)):
        (found,) = ar.explain(classifier, ["a good film"], [pair], long="windows")
        assert (told in found.warnings, found.windows, found.truncated_tokens > 0) == (said, (), said)


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("integrated_gradients", {"steps": 3}),
        ("occlusion", {"unit": "word"}),
        ("rollout", {}),
        ("lime", {"samples": 30}),
    ],
)
def test_other_methods_read_windows_too(classifier, long_text, method, parameters):
    asked = {"method": method, "parameters": parameters, "target": "positive"}
    (made,) = ar.explain(classifier, long_text, long="windows", max_length=22, stride=7, **asked)
    _, relevance = by_hand(classifier, long_text, 20, 7, asked.pop("target"), **asked)
    np.testing.assert_allclose(made.token_relevance, relevance, rtol=0, atol=METHOD_SUM * abs(relevance).max())
    assert len(made.windows) == 9
    assert tuple(made.diagnostics) == ar.METHODS[method].diagnostics


def test_diagnostics_of_a_text_are_the_mean_or_the_worst_of_its_windows(classifier, long_text):
    tolerant = {"steps": 2, "tolerance": 0.01, "max_steps": 64}
    asked = {"method": "integrated_gradients", "parameters": tolerant, "target": "positive"}
    (made,) = ar.explain(classifier, long_text, long="windows", max_length=22, stride=20, **asked)
    pieces = long_text.split()
    parts = [" ".join(pieces[window.start - 1 : window.end - 1]) for window in made.windows]
    each = [found.diagnostics for found in ar.explain(classifier, parts, **asked)]
    assert made.diagnostics["steps"] == max(one["steps"] for one in each)
    mean = sum(window.weight * one["baseline_logit"] for window, one in zip(made.windows, each, strict=True))
    assert made.diagnostics["baseline_logit"] == pytest.approx(mean, abs=METHOD_SUM)
    gained = made.target_value - made.diagnostics["baseline_logit"]
    assert made.explained - gained == pytest.approx(made.diagnostics["convergence_delta"], abs=METHOD_SUM)


def without_bias(classifier, texts):
    """A classifier whose logits have mean 0 over the texts, so that every label is predicted for some window."""
    mean = np.mean([made.logits for made in ar.explain(classifier, texts)], axis=0)
    head = classifier.params["classifier"]
    params = classifier.params | {"classifier": head | {"bias": head["bias"] - mean}}
    return dataclasses.replace(classifier, params=params)


def test_every_window_explains_what_the_whole_text_decides(classifier):
    """A text whose windows disagree: its label is that of the mean, and each window's relevance is of that label."""
    rng, options = np.random.default_rng(0), {"long": "windows", "max_length": 12}
    texts = [" ".join(rng.choice(WORDS, 40)) for _ in range(8)]
    undecided, disagree = without_bias(classifier, texts), 0
    for made in ar.explain(undecided, texts, **options):
        labels = {int(window.logits.argmax()) for window in made.windows}
        disagree += len(labels) > 1
        (again,) = ar.explain(undecided, made.text, target=made.prediction.label, **options)
        assert made.target == made.prediction.label
        np.testing.assert_allclose(made.token_relevance, again.token_relevance, rtol=0, atol=BATCH)
    assert disagree


def test_the_command(model_folder, long_text, tmp_path, capsys):
    (tmp_path / "in.txt").write_text(f"good\n{long_text}\n")
    more = ["--max-length", "32", "--output", str(tmp_path / "out.jsonl"), "--model", str(model_folder)]
    found = {}
    for long in ("truncate", "windows"):
        assert main([str(tmp_path / "in.txt"), *more, "--long", long]) == 0
        found[long] = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [len(row["tokens"]) for row in found["truncate"]] == [3, 32]
    assert "40 word pieces beyond 32 tokens were cut off on the right and not read" in found["truncate"][1]["warnings"]
    assert [len(row["tokens"]) for row in found["windows"]] == [3, 72]
    assert [len(row["windows"]) for row in found["windows"]] == [0, 4]
    assert list(found["windows"][1]["windows"][0]) == ["start", "end", "weight", "logits"]


def test_what_is_refused(classifier):
    assert "long='fold': accepted: truncate, windows." in refusal(ar.explain, classifier, "a", long="fold")
    assert refusal(ar.explain, classifier, "a", stride=2) == "stride=2 is of windows; give long='windows' with it."
    for target in ("margin", "log_probability:all", len):
        said = refusal(ar.explain, classifier, "a", long="windows", target=target)  # though the text is short
        assert said.startswith(f"The target {target!r} is a function of the logits, which is not read in windows")
    assert "stride=0: expected a whole number" in refusal(ar.explain, classifier, "a", stride=0)
