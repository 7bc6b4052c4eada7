"""The contract of every method other than composites: batches, padding, targets, compilation, seeds, parameters."""

import jax
import numpy as np
import pytest
from measures import relative_error
from models import random_params, refusal, write_model
from questions import CONFIG, EYE, IDS, LENGTHS, MASK, QUICK, TEXTS, answer, call_of, parts, rows, values_of
from tolerances import BATCH, METHOD_SUM

import autorel_jax as ar
from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.methods import METHODS
from autorel_jax.attribution.methods.integrated import IntegratedGradients
from autorel_jax.attribution.registry import named
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp.composites import COMPOSITES

NAMES = tuple(METHODS)
RANDOM = tuple(name for name, made in METHODS.items() if "seed" in made.accepted())
EACH_KIND = ("integrated_gradients", "generic_attention", "lime", "random")
SOME = [
    pytest.param(name, marks=() if name in EACH_KIND else pytest.mark.slow) for name in NAMES
]  # the rest: pytest -m slow
OTHER = {  # another value of each parameter that does not change what is compiled
    "samples": 10,
    "sigma": 0.4,
    "baseline": "pad",
    "tolerance": 1e-4,
    "max_steps": 32,
    "unit": "word",
    "special": True,
    "width": 50,
    "ridge": 3,
    "layer": 0,
    "head": 1,
    "seed": 5,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_rows(name):
    """Neither padding nor neighbours count: scores, diagnostics and what is drawn at random."""
    logits, scores, measured = answer(QUICK[name])
    assert np.isfinite(scores).all()
    assert not scores[:, 0][MASK == 0].any()  # exactly 0
    row = 2
    alone = answer(QUICK[name], rows(row, length=LENGTHS[row]))
    assert relative_error(alone[0][0], logits[row]) <= BATCH
    assert relative_error(alone[1][0], scores[row, :, : LENGTHS[row]]) <= BATCH
    assert measured.shape[2] == len(METHODS[name].diagnostics)
    np.testing.assert_allclose(alone[2][0], measured[row], rtol=BATCH, atol=BATCH)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_does_not_count(name):
    _, scores, _ = answer(QUICK[name])
    _, turned, _ = answer(QUICK[name], rows(3, 2, 1, 0))
    assert relative_error(turned[::-1], scores) <= BATCH


@pytest.mark.parametrize("name", SOME)
def test_all_targets_together_hold_the_predicted_one(name):
    logits, predicted, _ = answer(QUICK[name])
    _, together, _ = answer(QUICK[name], weights=EYE)
    chosen = together[np.arange(4), logits.argmax(axis=1)]
    assert relative_error(predicted[:, 0], chosen) <= BATCH


@pytest.mark.parametrize("name", NAMES)
def test_no_recompilation_for_other_values(name):
    """Of the parameters, the weights and the texts."""
    made = QUICK[name]
    _, first, _ = answer(made)
    before = token_scores._cache_size()
    answer(made, rows(1, 0, 2, 3), params=random_params(CONFIG, seed=5))
    compiled = {"norm", "reduce", "steps", "rule", "composite", "prior"}
    assert QUICK[name].accepted().keys() <= OTHER.keys() | compiled | {"below", "most"}  # of references
    for parameter in made.accepted().keys() & OTHER.keys():
        _, other, _ = answer(made.set({parameter: OTHER[parameter]}))
        if parameter not in ("unit", "special", "tolerance", "max_steps"):  # of the explainer; may change little
            assert relative_error(other, first) > BATCH, parameter
    assert token_scores._cache_size() == before


@pytest.mark.parametrize("name", RANDOM)
def test_the_same_seed_gives_the_same_result(name):
    _, first, _ = answer(QUICK[name])
    _, again, _ = answer(QUICK[name])
    assert (first == again).all()
    changed = IDS.copy()
    changed[0, 3] += 1
    _, other, _ = answer(QUICK[name], TEXTS._replace(ids=changed))
    assert relative_error(other[1:], first[1:]) <= BATCH  # another neighbour
    assert relative_error(other[0], first[0]) > BATCH


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH_KIND)
def test_jit_does_not_change_it(name):
    made = QUICK[name]
    params = random_params(CONFIG, scale=0.3)
    values = jax.tree.map(jax.numpy.asarray, values_of(made))
    texts = Texts(*map(jax.numpy.asarray, TEXTS))
    found = token_scores.__wrapped__(Settings(CONFIG, made, made.reads[0]), params, texts, None, values)
    for part, expected in zip(parts(made, found), answer(made), strict=True):
        np.testing.assert_allclose(part, expected, rtol=BATCH, atol=BATCH)


TEXTS_TO_EXPLAIN = ["a good film", "bad", "not a good film, and not a bad one", ""]


@pytest.mark.parametrize("name", SOME)
def test_the_library_call(classifier, name):
    found = ar.explain(classifier, TEXTS_TO_EXPLAIN, **call_of(name))
    for explanation, text in zip(found, TEXTS_TO_EXPLAIN, strict=True):
        assert explanation.text == text
        assert explanation.method == name
        assert explanation.rules == {}
        asked = {key: value for key, value in explanation.parameters.items() if key != "references"}
        assert asked == {"read_at": METHODS[name].reads[0], **QUICK[name].record()}
        assert tuple(explanation.diagnostics) == METHODS[name].diagnostics
        assert np.isfinite(explanation.token_relevance).all()
        assert explanation.word_relevance.sum() == pytest.approx(explanation.explained, abs=METHOD_SUM)
        assert explanation.to_dict()["diagnostics"] == explanation.diagnostics
        assert not METHODS[name].note or f"{name}: {METHODS[name].note}" in explanation.warnings


@pytest.mark.parametrize("name", EACH_KIND)
def test_the_library_call_does_not_depend_on_the_batch(classifier, name):
    together = ar.explain(classifier, TEXTS_TO_EXPLAIN[:3], batch_size=2, **call_of(name))
    (alone,) = ar.explain(classifier, TEXTS_TO_EXPLAIN[1:2], **call_of(name))
    assert relative_error(alone.token_relevance, together[1].token_relevance) <= BATCH


def test_targets_and_pairs(classifier):
    every = ar.explain(classifier, ["a good film"], ["bad"], method="occlusion", target="all")
    (contrast,) = ar.explain(classifier, ["a good film"], ["bad"], method="occlusion", target=("positive", "negative"))
    difference = every[2].token_relevance - every[0].token_relevance
    assert np.abs(contrast.token_relevance - difference).max() <= METHOD_SUM


def test_words_are_switched_off_whole(classifier):
    """A word of two tokens gets one score, half of it on each; special tokens get 0 unless they are asked for."""
    text = "film, good"
    (by_word,) = ar.explain(classifier, text, method="occlusion", parameters={"unit": "word"})
    assert by_word.tokens == ("[CLS]", "film", ",", "good", "[SEP]")
    assert by_word.token_relevance[1] == by_word.token_relevance[2] != 0
    assert by_word.token_relevance[0] == by_word.token_relevance[4] == 0
    (every,) = ar.explain(classifier, text, method="occlusion", parameters={"special": True})
    assert every.token_relevance.all()


def test_methods_of_ones_own_object(classifier):
    method = IntegratedGradients(steps=3, rule="riemann")
    (given,) = ar.explain(classifier, "a good film", method=method)
    (named_so,) = ar.explain(
        classifier, "a good film", method="integrated_gradients", parameters={"steps": 3, "rule": "riemann"}
    )
    assert (given.token_relevance == named_so.token_relevance).all()
    assert given.diagnostics["steps"] == 3


def test_names():
    assert named("lime") is METHODS["lime"]
    assert named("attnlrp") is COMPOSITES["attnlrp"]
    assert not METHODS.keys() & COMPOSITES.keys()
    assert refusal(named, "lmie") == f"Unknown method 'lmie'. Available: {', '.join([*COMPOSITES, *METHODS])}."


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        (
            "lime",
            {"sample": 3},
            "lime has no parameter 'sample'; it has unit, special, baseline, samples, width, ridge",
        ),
        ("rollout", {"layer": 3}, "rollout has no parameter 'layer'; it has none."),
        ("lime", {"samples": 0}, "samples=0: expected a whole number of at least 1, at most 524288."),
        ("lime", {"samples": 2**31}, "samples=2147483648: expected a whole number of at least 1, at most 524288."),
        ("kernel_shap", {"samples": 21}, "samples=21: expected an even number of at least 2"),
        ("shapley_sampling", {"samples": 2**19 + 1}, "expected a whole number of at least 1, at most 524288."),
        ("integrated_gradients", {"max_steps": 2**31 - 1}, "expected a whole number of at least 1, at most 524288."),
        ("raw_attention", {"layer": 2**31}, "expected a whole number of at least -1, no more than 2147483647."),
        ("lime", {"ridge": 1e300}, "expected a number of at least 0, no more than 3.4028234663852886e+38."),
        ("lime", {"ridge": 10**400}, "expected a number of at least 0, no more than 3.4"),
        ("lime", {"samples": 10**400}, "expected a whole number of at least 1"),
        ("integrated_gradients", {"steps": 5001}, "steps=5001: expected a whole number of at least 1, at most 5000."),
        ("lime", {"samples": 2.5}, "samples=2.5: expected a whole number"),
        ("lime", {"samples": True}, "samples=True: expected a whole number"),
        ("lime", {"width": float("nan")}, "width=nan: expected a number of at least 0.001."),
        ("lime", {"unit": "sentence"}, "unit=sentence: expected one of token, word."),
        ("lime", {"special": 1}, "special=1: expected true or false."),
        ("lime", {"seed": -1}, "seed=-1: expected a whole number of at least 0, at most 2147483647."),
        ("integrated_gradients", {"baseline": "vocabulary"}, "baseline=vocabulary: expected one of zero, pad, mask."),
        ("raw_attention", {"layer": 3}, "layer=3: the model has 3; give 0 to 2, or -1."),
        ("raw_attention", {"head": 4}, "head=4: the model has 4; give 0 to 3, or -1."),
    ],
)
def test_bad_parameters_are_refused(classifier, name, parameters, said):
    assert said in refusal(ar.explain, classifier, "a", method=name, parameters=parameters)


def test_a_point_that_a_method_cannot_be_read_at(classifier):
    said = refusal(ar.explain, classifier, "a", method="rollout", read_at="embeddings")
    assert said == "rollout cannot be read at 'embeddings'; accepted: attention_weights."


def test_a_tokenizer_without_mask(tmp_path):
    write_model(tmp_path / "model")
    classifier = ar.load(tmp_path / "model")
    classifier.tokenizer.mask_id = None
    said = refusal(ar.explain, classifier, "a", method="occlusion")
    assert said == "the tokenizer has no [MASK] token; accepted here: zero, pad."


def test_doubts_are_told(classifier):
    """Too few samples, an integral that has not converged."""
    (few,) = ar.explain(classifier, "a good film and a bad one", method="kernel_shap", parameters={"samples": 26})
    assert "kernel_shap: 26 samples are few for 7 units; take at least 28" in few.warnings
    for parameters in ({"samples": 28}, {"samples": 8, "prior": "attnlrp"}):
        (enough,) = ar.explain(classifier, "a good film and a bad one", method="kernel_shap", parameters=parameters)
        assert not enough.warnings
    coarse = {"steps": 1, "tolerance": 1e-7, "max_steps": 1}
    (missed,) = ar.explain(classifier, "a good film", method="integrated_gradients", parameters=coarse)
    assert "after 1 steps the scores still miss the difference of logits by" in missed.warnings[-1]


def test_random_scores_are_standard_normal_numbers():
    """A thousand texts of 9 tokens: mean 0 and deviation 1, the same for every target."""
    ids = np.random.default_rng(1).integers(0, CONFIG.vocab_size, (1000, 9)).astype(np.int32)
    texts = Texts(ids, np.ones_like(ids), np.zeros_like(ids), np.full_like(ids, -1))
    weights = np.broadcast_to(np.eye(3, dtype=np.float32), (1000, 3, 3))
    _, scores, _ = answer(METHODS["random"], texts, weights)
    assert (scores == scores[:, :1]).all()
    assert abs(scores[:, 0].mean()) < 4 / np.sqrt(9000)
    assert abs(scores[:, 0].std() - 1) < 4 / np.sqrt(2 * 9000)
    assert len(np.unique(scores[:, 0])) > 8900
