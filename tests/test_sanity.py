"""Scores of changed models and of changed texts: what is in disorder, what must stay, whether words tell a change."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from bag_of_words import BagOfWords
from models import FAMILIES, random_params, refusal
from tolerances import FAITHFULNESS

import autorel_jax as ar
from autorel_jax.faithfulness.counterfactual import Change, change, changed
from autorel_jax.faithfulness.intervals import correlation_of
from autorel_jax.faithfulness.sanity import blocks, disordered, flattened

TEXTS = ["a good film", "not a good film, and not a bad one", "the actors are good", "bad"]


class Labelled(list):
    """Values that are numbered from behind, as a Series of pandas may be: [0] is the last."""

    def __getitem__(self, number):
        return super().__getitem__(-1 - number)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_blocks_are_the_whole_model(name):
    """Each parameter, and each layer's row of a stack, is in one block."""
    config = FAMILIES[name]
    flat = flattened(random_params(config))
    rows = {path: np.zeros(leaf.shape[0], int) for path, leaf in flat.items()}
    for block in blocks(config).values():
        for path, row in block.items():
            if path in rows:
                rows[path][slice(None) if row is None else row] += 1
    assert all((counts == 1).all() for counts in rows.values())
    assert next(iter(blocks(config))) == "head"
    assert list(blocks(config))[-1] == "embeddings"


def test_disorder_keeps_the_values_and_all_other_blocks():
    config = FAMILIES["bert"]
    flat, each = flattened(random_params(config)), blocks(config)
    one = disordered(flat, {"layer_0": each["layer_0"]}, seed=0)
    for path, leaf in flat.items():
        if path.startswith("layers/"):
            np.testing.assert_array_equal(leaf[1], one[path][1])
            np.testing.assert_array_equal(np.sort(leaf[0].ravel()), np.sort(one[path][0].ravel()))
        else:
            assert leaf is one[path]
    assert not np.array_equal(flat["layers/query/kernel"][0], one["layers/query/kernel"][0])
    both = disordered(flat, {"head": each["head"], "layer_0": each["layer_0"]}, seed=0)
    np.testing.assert_array_equal(both["layers/query/kernel"], one["layers/query/kernel"])


@pytest.fixture(scope="module")
def checked(classifier):
    asked = {"methods": ["attnlrp"], "protocols": ["leave_one_out"], "perturb": ["mask"], "resamples": 20}
    return ar.evaluate(classifier, TEXTS, sanity=True, other_model=classifier, **asked)


def test_what_must_change_and_what_must_not(checked):
    found = {(one["kind"], one["what"], one["method"]): one["mean"] for one in checked.record["sanity"]}
    names = ["head", "layer_2", "layer_1", "layer_0", "embeddings"]
    assert [what for kind, what, method in found if (kind, method) == ("cascading", "attnlrp")] == names
    assert all(mean == 1 for (_, _, method), mean in found.items() if method == "random")  # it does not look
    assert all(found["cascading", name, "attnlrp"] < 1 for name in names)
    assert found["cascading", "head", "attnlrp"] == found["independent", "head", "attnlrp"]
    assert [mean for (kind, _, _), mean in found.items() if kind in ("alone", "other_model")] == [1, 1, 1, 1]
    assert found["bfloat16", "bfloat16", "attnlrp"] > 0.9
    assert "cascading layer_2" in checked.table()
    assert checked.record["sanity"][0]["n"] == 3  # one word has no rank


def test_another_model_is_of_the_same_task(classifier):
    asked = {"protocols": ["leave_one_out"], "methods": ["random"]}
    assert "set sanity too" in refusal(ar.evaluate, classifier, TEXTS, other_model=classifier, **asked)
    other = ar.load()
    assert "another tokenizer" in refusal(ar.evaluate, classifier, TEXTS, sanity=True, other_model=other, **asked)


def test_the_same_weights_in_another_architecture_are_another_model(classifier, tmp_path):
    """What was found with one activation is not taken for that of another."""
    config = dataclasses.replace(classifier.config, hidden_act="relu")
    other = dataclasses.replace(classifier, config=config)
    asked = {"methods": ["random"], "protocols": ["leave_one_out"], "perturb": ["mask"], "done": tmp_path / "done"}
    assert classifier.fingerprint == other.fingerprint
    first, second = (ar.evaluate(one, TEXTS, **asked).record for one in (classifier, other))
    assert first["texts_computed"] == second["texts_computed"] > len(TEXTS)


def case(ids):
    tokens = SimpleNamespace(ids=np.array([101, *ids, 102], np.int32))
    return SimpleNamespace(tokens=tokens, units=np.array([-1, *range(len(ids)), -1]), count=len(ids))


def test_which_words_changed():
    first, second = changed(case([1, 2, 3, 4]), case([1, 5, 3, 4, 6]))
    assert first.tolist() == [False, True, False, False]
    assert second.tolist() == [False, True, False, False, True]
    assert [one.any() for one in changed(case([1, 2]), case([1, 2]))] == [False, False]


def test_the_weights_of_a_linear_model_tell_the_change():
    weights = np.array([0.5, -2.0, 1.0, 0.3])
    model, pair = BagOfWords(weights), (case([1, 2, 3]), case([1, 4, 3, 3]))
    logits = [model.weights[one.tokens.ids[1:-1]].sum() for one in pair]
    got = change(pair, [model.weights[one.tokens.ids[1:-1]] for one in pair], logits)
    assert got.told == pytest.approx(got.real, abs=FAITHFULNESS)
    assert got.real == pytest.approx(-2.0 - 0.3 - 1.0, abs=FAITHFULNESS)
    assert (got.agrees, Change(1.0, -2.0).agrees, Change(0.0, 2.0).agrees, Change(1.0, 0.0).agrees) == (1, 0, 0, None)


def test_pairs_of_texts_against_a_slow_reference(classifier):
    copies = ["a bad film", None, "the actors are bad", "bad"]
    made = ar.evaluate(classifier, TEXTS, changed=copies, methods=["attnlrp"], protocols=["counterfactual"])
    told, real = [], []
    for text, copy in ((TEXTS[0], copies[0]), (TEXTS[2], copies[2]), (TEXTS[3], copies[3])):
        (one,) = ar.explain(classifier, [text])
        (other,) = ar.explain(classifier, [copy], target=one.target)
        words = [dict(zip(found.words, found.word_relevance, strict=True)) for found in (one, other)]
        told.append(
            sum(words[0][w] for w in words[0].keys() - words[1]) - sum(words[1][w] for w in words[1].keys() - words[0])
        )
        real.append(one.target_value - other.target_value)
    found = {row["measure"]: row["over_texts"] for row in made.record["results"] if row["method"] == "attnlrp"}
    changes = np.array(real) != 0
    agree = (np.sign(told) == np.sign(real))[changes].mean()
    assert found["sign_agreement"]["mean"] == pytest.approx(agree)
    assert found["sign_agreement"]["n"] == changes.sum() == 2
    assert (found["correlation"]["n"], found["correlation"]["mean"]) == (
        3,
        pytest.approx(np.corrcoef(told, real)[0, 1], abs=1e-4),
    )
    by = {row["method"]: row for row in made.record["results"] if row["measure"] == "correlation"}
    less = by["random"]["over_texts"]["mean"] - by["attnlrp"]["over_texts"]["mean"]
    assert by["random"]["minus_default"]["mean"] == pytest.approx(less, abs=FAITHFULNESS)
    assert by["attnlrp"]["minus_random"]["mean"] == pytest.approx(-less, abs=FAITHFULNESS)
    nan, words = float("nan"), [copies[0].split(), copies[2].split()]
    for given in (Labelled(copies), iter(copies), [tuple(words[0]), nan, tuple(words[1]), copies[3]]):
        again = ar.evaluate(classifier, TEXTS, changed=given, methods=["attnlrp"], protocols=["counterfactual"])
        assert again.record["results"] == made.record["results"]


def test_a_copy_of_two_words_may_be_a_tuple(classifier):
    """It is no pair of texts, and was left out without a word."""
    asked = {"methods": ["attnlrp"], "protocols": ["counterfactual"]}
    lists, tuples = (
        ar.evaluate(
            classifier, ["good film", "bad film"], changed=[kind(["bad", "film"]), kind(["good", "film"])], **asked
        )
        for kind in (list, tuple)
    )
    assert lists.record["results"] == tuples.record["results"]
    assert {row["over_texts"]["n"] for row in lists.record["results"]} == {2}


def test_marks_come_in_the_order_of_texts(classifier):
    marks = [[0, 1, 0], [1], None, [1, 0, 0, 0]]
    asked = {"methods": ["attnlrp"], "protocols": ["people"], "resamples": 10}
    texts = ["a good film", "bad", "good", "bad and so cold"]
    expected = ar.evaluate(classifier, texts, marks=marks, **asked).record["results"]
    assert expected != ar.evaluate(classifier, texts, marks=[[1, 0, 0], *marks[1:]], **asked).record["results"]
    for given in (Labelled(marks), iter(marks)):
        assert ar.evaluate(classifier, texts, marks=given, **asked).record["results"] == expected


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["bad", 5, "bad", "bad"], "changed[1] is 5 (int); a text is a string or a list of words."),
        ([("a film", "it is bad"), *[None] * 3], "changed[0] looks like a pair of texts; expected single texts"),
        (["bad"], "4 texts but 1 changed; give one for each text."),
        ({0: "bad"}, "changed is a dict; expected a string or a list with one for each text."),
    ],
)
def test_what_is_no_changed_copy(classifier, changed, said):
    assert said in refusal(ar.evaluate, classifier, TEXTS, changed=changed)


def test_the_correlation_of_pairs_against_a_slow_bootstrap():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(30)
    y = x + rng.standard_normal(30)
    got = correlation_of(x, y, 4000, 0)
    assert got.mean == pytest.approx(np.corrcoef(x, y)[0, 1], abs=FAITHFULNESS)
    drawn = [rng.integers(0, 30, 30) for _ in range(4000)]
    means = sorted(np.corrcoef(x[rows], y[rows])[0, 1] for rows in drawn)
    assert (got.low, got.high) == pytest.approx((means[100], means[3899]), abs=0.1 * (got.high - got.low))
    assert np.isnan(correlation_of(np.ones(4), x[:4], 10, 0).mean)
