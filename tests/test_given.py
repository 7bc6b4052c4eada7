"""What programs pass to the library: pairs, contrasts, NaN, arrays, x64, jit, forks; and names of rules."""

import contextlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from models import refusal
from questions import call_of
from tolerances import BATCH

import autorel_jax as ar
from autorel_jax.attribution.methods import METHODS
from autorel_jax.lrp import linear, rules
from autorel_jax.lrp.composites import COMPOSITES, GRADIENT

PAIR = ("who wrote a good film", "a bad film")


@pytest.mark.parametrize("kind", [tuple, list])
def test_pairs_as_cross_encoders_take_them(classifier, kind):
    expected = ar.explain(classifier, [PAIR[0]], [PAIR[1]])
    said = contextlib.nullcontext() if kind is tuple else pytest.warns(ar.InputWarning, match="read as pairs of texts")
    with said as caught:
        (found,) = ar.explain(classifier, [kind(PAIR)])
    assert caught is None or [warning.filename for warning in caught] == [__file__]
    assert (found.text, found.text_pair) == PAIR
    np.testing.assert_array_equal(found.token_relevance, expected[0].token_relevance)
    assert found.warnings == expected[0].warnings


def test_lists_of_two_strings_are_not_pairs_without_a_word(classifier):
    with pytest.warns(ar.InputWarning, match=r"Give pairs as tuples or as pairs=\[…\], and given words without spaces"):
        found = ar.explain(classifier, [["New York", "is"], ["a", "b"]])
    assert [(one.text, one.text_pair) for one in found] == [("New York", "is"), ("a", "b")]


@pytest.mark.parametrize("options", [{}, {"target": "predicted"}, {"contrast": ("positive", "negative")}])
def test_labels_that_would_not_be_used_are_refused(classifier, options):
    said = refusal(ar.explain, classifier, ["good"], labels=["positive"], **options)
    assert said == "labels are for target='given'; give that too, or leave them out."


def test_given_words_stay_words(classifier):
    (found,) = ar.explain(classifier, [["good", "film"]])
    assert (found.words, found.text_pair) == (("[CLS]", "good", "film", "[SEP]"), None)


def test_pairs_among_single_texts(classifier):
    said = refusal(ar.explain, classifier, ["good", PAIR])
    assert said.startswith("texts[1] looks like a pair of texts, but texts[0] does not; give the second texts as")


def test_a_given_word_with_spaces_is_warned_of(classifier):
    (found,) = ar.explain(classifier, [["a good", "film", "."]])
    assert any("a given word holds spaces, 'a good'" in warning for warning in found.warnings)
    (found,) = ar.explain(classifier, [["a", "good", "film"]])
    assert not any("holds spaces" in warning for warning in found.warnings)


def test_a_list_of_targets(classifier):
    labels = ["positive", "negative"]
    said = refusal(ar.explain, classifier, ["good", "bad"], target=labels)
    assert said.startswith("target=['positive', 'negative'] with 2 texts may be a contrast or a label for each text;")
    for options in ({"target": tuple(labels)}, {"contrast": labels}):
        found = ar.explain(classifier, ["good", "bad"], **options)
        assert [e.target for e in found] == ["positive - negative"] * 2
    assert ar.explain(classifier, ["good"], target=labels)[0].target == "positive - negative"
    assert "exclude each other" in refusal(ar.explain, classifier, "a", target="positive", contrast=labels)
    assert "expected two labels, such as" in refusal(ar.explain, classifier, "a", contrast="positive")
    assert "A contrast needs two labels, got 3" in refusal(ar.explain, classifier, "a", contrast=["a", "b", "c"])


def test_a_series_of_pandas_is_read_in_its_order(classifier):
    pandas = pytest.importorskip("pandas")
    labels = pandas.Series(["positive", "negative"], index=[1, 0])
    assert "may be a contrast or a label" in refusal(ar.explain, classifier, ["good", "bad"], target=labels)
    assert ar.explain(classifier, ["good"], target=labels)[0].target == "positive - negative"
    found = ar.explain(classifier, pandas.Series(["good", "bad"], index=[1, 0]), labels=labels, target="given")
    assert [(one.text, one.target) for one in found] == [("good", "positive"), ("bad", "negative")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((["a", "b", "c", float("nan"), "e"],), "texts[3] is nan (float); a text is a string or a list of words."),
        ((["a", None],), "texts[1] is None (NoneType)"),
        ((["a", "b"], ["c", 5]), "pairs[1] is 5 (int)"),
        ((["a", ["b", 1]],), "texts[1] is ['b', 1] (list)"),
        ((np.array(5),), "texts is a int; expected a string"),
        ((b"good film",), "texts is a bytes; expected a string"),
        (([b"good film"],), "texts[0] is b'good film' (bytes)"),
    ],
)
def test_what_is_no_text_is_named_by_its_place(classifier, arguments, said):
    assert said in refusal(ar.explain, classifier, *arguments)


def test_numpys_strings(classifier):
    for texts in (
        np.array("good film"),
        np.array(["good film"]),
        np.array(["good film"], object),
        np.str_("good film"),
    ):
        assert [e.text for e in ar.explain(classifier, texts)] == ["good film"]


@pytest.mark.parametrize("name", ["attnlrp", "epsilon", "integrated_gradients", "smoothgrad", "lime"])
def test_x64_in_the_process_changes_nothing(classifier, name):
    check_x64(classifier, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*COMPOSITES, *METHODS])
def test_x64_changes_no_method(classifier, name):
    check_x64(classifier, name)


def check_x64(classifier, name):
    asked = {"method": name} if name in COMPOSITES else call_of(name)
    (expected,) = ar.explain(classifier, "a good film", **asked)
    with jax.enable_x64(True):
        (found,) = ar.explain(classifier, "a good film", **asked)
    assert found.token_relevance.dtype == found.logits.dtype == np.float32
    np.testing.assert_array_equal(found.token_relevance, expected.token_relevance)
    assert found.diagnostics == expected.diagnostics


def test_x64_and_a_vjp_of_ones_own(classifier):
    def relevance():
        batch = classifier.batch(["a good film"])
        embeddings = classifier.embeddings("epsilon", batch)
        logits, vjp = jax.vjp(classifier.logits_of("epsilon", batch), embeddings)
        return vjp(logits)[0], classifier.logits(batch)

    expected = relevance()
    with jax.enable_x64(True):
        found = relevance()
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=BATCH, atol=BATCH)


def test_inside_jit(classifier):
    def traced(x):
        return ar.explain(classifier, ["good"])[0].token_relevance * x

    assert "called inside jit, grad or vmap of JAX" in refusal(jax.jit(traced), 1.0)


FORKED = """
import multiprocessing, sys
import autorel_jax as ar

def work(text):
    try:
        return len(ar.explain(classifier, text))
    except ar.InputError as error:
        return str(error)

classifier = ar.load(sys.argv[1])
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.apply_async(work, ("good",)).get(60))
"""


def test_a_forked_process_is_refused(model_folder):
    """It would wait for ever."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, model_folder], capture_output=True, text=True, timeout=200
    )
    assert "Start workers by multiprocessing.get_context('spawn')." in done.stdout, done.stderr


# --- rules by name


def test_rules_by_name():
    attnlrp = COMPOSITES["attnlrp"]
    expected = attnlrp.derive("mine", linear=linear.gamma, add=rules.ratio)
    assert attnlrp.derive("mine", linear="gamma", add="ratio") == expected
    assert attnlrp.derive("mine", activation="plain").rules["activation"] == "plain"


@pytest.mark.parametrize(
    ("base", "given", "said"),
    [
        ("attnlrp", {"linear": "gama"}, "linear has no rule 'gama' on the base attnlrp; available: epsilon, gamma,"),
        ("attnlrp", {"linear": 3}, "linear has no rule 3 on the base attnlrp"),
        ("attnlrp", {"liner": "gamma"}, "unknown op 'liner'; available: linear, contract, add,"),
        ("attnlrp", {"tap": rules.ratio}, "unknown op 'tap'"),
        ("bert_lrp", {"linear": "gamma"}, "linear has no rule 'gamma' on the base bert_lrp; available: signed_weights"),
    ],
)
def test_rules_that_there_are_not(base, given, said):
    assert said in refusal(COMPOSITES[base].derive, "mine", **given)


def test_a_base_without_rules_of_its_own():
    assert "available: plain." in refusal(GRADIENT.derive, "mine", linear="gamma")
