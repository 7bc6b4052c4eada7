"""The library call: order, targets, buckets, sums, warnings and the fields of an Explanation."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from measures import relative_error
from models import refusal, write_model
from questions import token_relevance
from tolerances import BATCH, BATCH_BERT_LRP, BATCH_FLOAT64, SAME_TEXT, SUM_FLOAT32

import autorel_jax as ar
from autorel_jax.attribution.scores import token_scores
from autorel_jax.data.row import Row
from autorel_jax.explaining import compute
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.shapes import (
    CLOSE_LENGTHS,
    FINE_LENGTHS,
    LARGE,
    LENGTHS,
    MANY,
    MOST,
    PROGRAM,
    batch_shape,
    chosen_lengths,
    padded_length,
)
from autorel_jax.model.config import MULTI

TEXTS = ["a good film", "bad", "not a good film, and not a bad one", "", "the actors are good"]


def test_scores_are_those_of_token_relevance(classifier):
    """What the library call returns is the compiled function's result for the text alone, padding cut off."""
    (explanation,) = ar.explain(classifier, TEXTS[0])
    batch = classifier.batch([TEXTS[0]])
    logits, scores = token_relevance(
        classifier.settings("attnlrp"), classifier.params, batch.ids, batch.mask, batch.types, None, {}
    )
    assert relative_error(explanation.token_relevance, scores[0, 0]) <= SAME_TEXT
    assert explanation.target_value == pytest.approx(float(logits.max()), rel=BATCH)
    assert explanation.explained == pytest.approx(float(scores.sum()), rel=BATCH)


@pytest.mark.parametrize("method", ar.COMPOSITES)
def test_order_sums_and_independence_of_the_batch(classifier, method):
    together = ar.explain(classifier, TEXTS, method=method, batch_size=2)
    assert [explanation.text for explanation in together] == TEXTS
    assert [explanation.id for explanation in together] == [1, 2, 3, 4, 5]
    largest = max(np.abs(explanation.token_relevance).max() for explanation in together)
    for explanation in together:
        (alone,) = ar.explain(classifier, [explanation.text], method=method)
        near = BATCH_BERT_LRP if method.startswith("bert_lrp") else BATCH
        assert np.abs(explanation.token_relevance - alone.token_relevance).max() <= near * largest
        assert explanation.word_relevance.sum() == pytest.approx(explanation.explained, abs=SUM_FLOAT32)
        assert len(explanation.tokens) == len(explanation.token_relevance)
        assert len(explanation.words) == len(explanation.word_relevance) == len(explanation.word_spans)
        assert explanation.method == method


def test_rounding_is_all_that_a_batch_changes_for_bert_lrp(model_folder):
    with jax.enable_x64(True):
        classifier = ar.load(model_folder, dtype="float64")
        together = ar.explain(classifier, TEXTS[:2], method="bert_lrp", batch_size=2)
        (alone,) = ar.explain(classifier, TEXTS[1:2], method="bert_lrp")
    assert relative_error(together[1].token_relevance, alone.token_relevance) <= BATCH_FLOAT64


def test_the_prediction_is_the_plain_models(classifier):
    logits = classifier.logits(classifier.batch(TEXTS))
    probabilities = classifier.probabilities(logits)
    for row, explanation in enumerate(ar.explain(classifier, TEXTS)):
        best = logits[row].argmax()
        assert explanation.prediction.label == explanation.target == classifier.config.labels[best]
        assert explanation.prediction.probability == pytest.approx(probabilities[row, best], rel=BATCH)
        assert explanation.prediction.logit == pytest.approx(logits[row, best], rel=BATCH)


def test_targets(classifier):
    every = ar.explain(classifier, TEXTS[:2], target="all")
    assert [(e.id, e.target) for e in every] == [(i, label) for i in (1, 2) for label in classifier.config.labels]
    for target in ("neutral", 1, "1"):
        named = ar.explain(classifier, TEXTS[:2], target=target)
        assert [e.target for e in named] == ["neutral", "neutral"]
        assert relative_error(named[0].token_relevance, every[1].token_relevance) <= SAME_TEXT
    given = ar.explain(classifier, TEXTS[:2], labels=["positive", 0], target="given")
    assert [e.target for e in given] == ["positive", "negative"]
    assert relative_error(given[1].token_relevance, every[3].token_relevance) <= SAME_TEXT
    (contrast,) = ar.explain(classifier, TEXTS[:1], target=("positive", "negative"))
    assert contrast.target == "positive - negative"
    assert contrast.target_value == pytest.approx(every[2].target_value - every[0].target_value, rel=BATCH)
    difference = every[2].token_relevance - every[0].token_relevance
    assert np.abs(contrast.token_relevance - difference).max() <= SUM_FLOAT32


def test_pairs_and_texts_given_as_words(classifier):
    (explanation,) = ar.explain(classifier, [["a", "good film"]], ["bad"])
    assert explanation.words == ("[CLS]", "a", "good film", "[SEP]", "bad", "[SEP]")
    assert explanation.word_segments == (0, 0, 0, 0, 1, 1)
    (single,) = ar.explain(classifier, "a good film", "bad")
    assert (single.text, single.text_pair) == ("a good film", "bad")


def test_a_regression_has_no_probability(tmp_path):
    write_model(tmp_path / "model", labels=("score",))
    (explanation,) = ar.explain(ar.load(tmp_path / "model"), "a good film")
    assert explanation.prediction.probability is None
    assert explanation.prediction.logit == explanation.target_value
    assert explanation.to_dict()["prediction"]["probability"] is None


def test_multi_label_probabilities_are_sigmoids(tmp_path):
    write_model(tmp_path / "model", problem_type=MULTI)
    classifier = ar.load(tmp_path / "model")
    logits = classifier.logits(classifier.batch(["a good film"]))[0].astype(float)
    (explanation,) = ar.explain(classifier, "a good film")
    assert explanation.prediction.probability == pytest.approx(1 / (1 + np.exp(-logits.max())), rel=BATCH)
    assert explanation.target == classifier.config.labels[logits.argmax()]


def test_warnings(classifier):
    (empty,) = ar.explain(classifier, [" "])
    assert "empty" in " ".join(empty.warnings)
    (cut,) = ar.explain(classifier, ["good " * 30], max_length=10)
    assert cut.truncated_tokens == 22
    assert "22 word pieces beyond 10 tokens were cut off on the right and not read" in cut.warnings
    signs = {e.target: (e.target_value < 0, " ".join(e.warnings)) for e in ar.explain(classifier, "bad", target="all")}
    assert {negative for negative, _ in signs.values()} == {True, False}
    assert all(negative == ("logit is negative" in text) for negative, text in signs.values())


def test_bert_lrp_warns_of_every_negative_logit(classifier):
    """Also in a contrast whose own value is positive: each label's relevance starts from its logit."""
    every = ar.explain(classifier, "bad", target="all", method="bert_lrp")
    flipped = {e.target: any("which flips the signs of bert_lrp" in text for text in e.warnings) for e in every}
    assert flipped == {e.target: e.target_value < 0 for e in every}
    worst, *_, best = sorted(every, key=lambda e: e.target_value)
    for method in ("bert_lrp", "attnlrp"):
        (contrast,) = ar.explain(classifier, "bad", target=(best.target, worst.target), method=method)
        assert contrast.target_value > 0 > worst.target_value
        assert any("flips the signs" in text for text in contrast.warnings) == (method == "bert_lrp")


def test_texts_pairs_and_labels_may_be_generators_and_numpys_numbers(classifier):
    columns = TEXTS[:2], TEXTS[2:4]
    plain = ar.explain(classifier, *columns, labels=[2, 0], target="given")
    found = ar.explain(classifier, *map(iter, columns), labels=iter(np.array([2, 0])), target="given")
    assert [e.target for e in found] == [e.target for e in plain] == ["positive", "negative"]
    assert [(e.text, e.text_pair) for e in found] == list(zip(*columns, strict=True))
    (contrast,) = ar.explain(classifier, np.array(TEXTS[:1]), target=(np.int64(2), np.int32(0)))
    assert contrast.target == "positive - negative"
    assert ar.explain(classifier, (text for text in TEXTS), target=np.int64(1))[4].target == "neutral"


def test_a_vocabulary_smaller_than_the_table_is_warned_about(tmp_path, classifier):
    size = classifier.config.vocab_size
    assert not classifier.warnings
    write_model(tmp_path / "model", vocab_size=size + 8)
    (warning,) = ar.load(tmp_path / "model").warnings
    assert f"the tokenizer has {size} tokens" in warning
    assert f"the model embeds {size + 8}" in warning


def test_to_dict_is_json_and_whole(classifier):
    (explanation,) = ar.explain(classifier, [TEXTS[0]], method="bert_lrp")
    found = json.loads(json.dumps(explanation.to_dict(), allow_nan=False))
    assert found["schema"] == 2
    assert found["version"] == ar.__version__
    labels = ["negative", "neutral", "positive"]
    assert found["model"] == {"name": classifier.name, "weights_sha256": classifier.fingerprint, "labels": labels}
    assert found["method"] == {
        "name": "bert_lrp",
        "parameters": {"read_at": "embeddings", "stabilizer": 1e-7},
        "rules": ar.COMPOSITES["bert_lrp"].rules,
    }
    elsewhere, in_no_file = (
        {"parameters", "rules", "weights_sha256", "labels"},
        {"is_zero_shot", "token_ids", "token_types"},
    )
    own = {field.name for field in dataclasses.fields(explanation)} - elsewhere - in_no_file
    assert found.keys() == own | {"schema", "version"}
    assert found["word_spans"] == [None, [0, 1], [2, 6], [7, 11], None]


def test_its_ids_are_what_the_model_read(classifier):
    (explanation,) = ar.explain(classifier, [TEXTS[0]], ["a film"])
    found = ar.predict(classifier, [explanation.token_ids], [explanation.token_types])
    assert relative_error(found.logits[0], explanation.logits) <= BATCH
    assert len(explanation.token_ids) == len(explanation.token_types) == len(explanation.tokens)


def test_texts_that_may_be_read_in_two_ways_are_refused(classifier):
    assert refusal(ar.explain, classifier, {"a film"}) == "texts is a set, which has no order; give a list."
    said = refusal(ar.explain, classifier, [("good", "bad"), ("film", "story")])
    assert said.startswith("texts are tuples of two words, which may be pairs or given words; ")
    (words,) = ar.explain(classifier, [["good", "bad"]])
    assert words.words[1:-1] == ("good", "bad")


def test_the_older_name_of_the_value(classifier):
    (explanation,) = ar.explain(classifier, [TEXTS[0]], target="margin")
    assert explanation.target_logit == explanation.target_value


def test_not_a_number_is_null_and_warned_about(classifier):
    broken = dataclasses.replace(classifier, params={**classifier.params, "classifier": nan_head(classifier)})
    (explanation,) = ar.explain(broken, ["a good film"], target="neutral")
    assert "some scores are not finite numbers" in explanation.warnings
    assert json.loads(json.dumps(explanation.to_dict(), allow_nan=False))["explained"] is None


def nan_head(classifier):
    return {
        "kernel": classifier.params["classifier"]["kernel"] * np.nan,
        "bias": classifier.params["classifier"]["bias"],
    }


def test_a_stream_is_read_one_chunk_at_a_time(classifier):
    taken, done = [], []

    def rows():
        for number in range(7):
            taken.append(number)
            yield Row(number, "a good film", None, None)

    stream = Explainer(classifier, ar.ExplainConfig(batch_size=2, prefetch=2)).explain(rows(), done.append)
    next(stream)
    assert taken == [0, 1]  # the first chunk is one batch, so that the first result comes soon
    next(stream), next(stream)
    assert taken == [0, 1, 2, 3, 4, 5]
    assert [explanation.id for explanation in stream] == [3, 4, 5, 6]
    assert done == [2, 2, 2, 1]


def test_shapes_are_few():
    for rows, lengths in ((1, LENGTHS), (LARGE - 1, LENGTHS), (LARGE, FINE_LENGTHS)):
        padded = {longest: padded_length(longest, 512, rows) for longest in range(2, 513)}
        assert set(padded.values()) == set(lengths)
        assert all(longest <= length for longest, length in padded.items())
        assert [padded_length(longest, 40, rows) for longest in (16, 31, 33, 40)] == [16, 32, 40, 40]
        assert padded_length(600, 2048, rows) == 1024
    assert len(FINE_LENGTHS) == 20
    assert [batch_shape(rows, 32) for rows in (1, 2, 3, 5, 31, 32)] == [1, 2, 4, 8, 32, 32]
    assert batch_shape(20, 24) == 24


def test_lengths_of_many_texts():
    """Of sixteen full batches and more: multiples of 4, as many as pay; longer texts have no say."""
    sentences = np.random.default_rng(0).integers(5, 50, 2048).tolist()
    found = chosen_lengths([*sentences, 600, 2000], LARGE)
    assert found == chosen_lengths(sentences, LARGE)
    assert set(found) <= set(CLOSE_LENGTHS)
    assert len(found) <= MOST
    assert found[-1] == 52 >= max(sentences)
    longest = sorted(sentences)[::-1][::LARGE]

    def padded(lengths):
        return LARGE * sum(padded_length(each, 512, LARGE, lengths) for each in longest) + PROGRAM * len(lengths)

    used = {padded_length(each, 512, LARGE) for each in longest}
    assert padded(found) < padded(sorted(used))
    assert chosen_lengths(sentences[: MANY * LARGE - 1], LARGE) == ()
    assert chosen_lengths(sentences, LARGE - 1) == ()
    assert chosen_lengths([600] * 1000, LARGE) == ()
    assert chosen_lengths([7] * 1000, LARGE) == [8]
    # Eight batches of 6 tokens and eight of 27: 24 tokens of 16 rows saved eight times are more than a program.
    assert chosen_lengths([6] * 128 + [27] * 128, LARGE) == [8, 28]
    assert padded_length(6, 512, LARGE, [8, 28]) == 8
    assert padded_length(6, 512, LARGE - 1, [8, 28]) == 16
    assert padded_length(27, 20, LARGE, [8, 28]) == 20


def test_many_texts_are_what_each_is_alone(classifier, monkeypatch):
    """In batches that are padded to lengths of their own, the same in any order of the texts."""
    texts = [" ".join(["good", "bad", "film"] * 4)[: 4 * (1 + number % 12)] for number in range(MANY * LARGE)]
    config, shapes = ar.ExplainConfig(batch_size=LARGE), []

    def spied(*given):
        shapes.append(given[2].ids.shape)
        return token_scores(*given)

    monkeypatch.setattr(compute, "token_scores", spied)
    explainer = Explainer(classifier, config)
    rows = [Row(number, text, None, None) for number, text in enumerate(texts)]
    found = list(explainer.explain_chunk(rows, lambda done: None))
    assert {rows for rows, _ in shapes} == {LARGE}
    chosen = chosen_lengths([len(each.tokens) for each in found], LARGE)
    assert {tokens for _, tokens in shapes} == set(chosen)
    first, shapes[:] = list(shapes), []
    again = list(explainer.explain_chunk(rows[::-1], lambda done: None))
    assert shapes == first
    for each, other in zip(found, again[::-1], strict=True):
        np.testing.assert_allclose(each.token_relevance, other.token_relevance, rtol=0, atol=SAME_TEXT)
    monkeypatch.undo()
    for each in found[:12]:
        (alone,) = ar.explain(classifier, [each.text])
        np.testing.assert_allclose(each.token_relevance, alone.token_relevance, rtol=0, atol=SAME_TEXT)


def test_no_compilation_for_a_second_list_of_the_same_shape(classifier):
    ar.explain(classifier, TEXTS)
    before = token_scores._cache_size()
    ar.explain(classifier, TEXTS[::-1])
    assert token_scores._cache_size() == before


def test_a_list_of_explanations_shows_itself(classifier):
    found = ar.explain(classifier, TEXTS)
    assert "film" in found._repr_html_()
    assert "film" in found[:1]._repr_html_()
    assert repr(found[0]).startswith("Explanation('a good film', target=")


def test_no_texts_give_no_explanations(classifier):
    assert ar.explain(classifier, []) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"methd": "attnlrp"}, "Unknown option methd. Available: method, parameters, target, read_at"),
        ({"method": "lmie"}, f"Unknown method 'lmie'. Available: {', '.join([*ar.COMPOSITES, *ar.METHODS])}."),
        ({"method": "bert_lrp", "read_at": "word_embeddings"}, "cannot be read at 'word_embeddings'"),
        ({"target": "happy"}, "Unknown label 'happy'. The labels of"),
        ({"target": 3}, "negative (id:0), neutral (id:1), positive (id:2)"),
        ({"target": "given"}, "Text 1 has no label, which target 'given' needs"),
        ({"target": "given", "labels": ["happy"]}, "Text 1: Unknown label 'happy'"),
        ({"target": ("positive", "positive")}, "A contrast needs two labels; 'positive' was given twice."),
        ({"target": ("positive", "neutral", "negative")}, "A contrast needs two labels, got 3"),
        ({"labels": ["positive", "negative"]}, "1 texts but 2 labels; give one for each text."),
        ({"pairs": ["a", "b"]}, "1 texts but 2 pairs; give one for each text."),
        ({"batch_size": 0}, "batch_size=0: expected a whole number of at least 1."),
        ({"batch_size": 2**31}, "batch_size=2147483648: expected no more than 2147483647."),
        ({"parameters": [1]}, "parameters=[1]: expected a dict of names and values."),
        ({"method": "gamma", "parameters": {"gamma": 1e300}}, "gamma=1e+300: expected a number of at least 0"),
        ({"target": "9" * 5000}, "Unknown label '999"),
        ({"prefetch": 0}, "prefetch=0: expected a whole number of at least 1."),
        ({"target": np.int64(3)}, "negative (id:0), neutral (id:1), positive (id:2)"),
        ({"max_length": 65}, "max_length=65 exceeds the model's 64 positions; use at most 64."),
        ({"max_length": 2}, "max_length=2 leaves no room for text"),
    ],
)
def test_bad_input_is_refused(classifier, options, said):
    assert said in refusal(ar.explain, classifier, ["a good film"], **options)


def test_models_that_cannot_be_explained(tmp_path):
    write_model(tmp_path / "encoder", labels=())
    assert "has no classification head" in refusal(ar.load, tmp_path / "encoder")
    assert "no such directory" in refusal(ar.load, tmp_path / "absent")
    assert "Unknown dtype 'int8'. Available: float32, bfloat16, float64." in refusal(ar.load, tmp_path, dtype="int8")
    assert "needs jax.config.update" in refusal(ar.load, tmp_path, dtype="float64")
    write_model(tmp_path / "other")
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *map(str, range(400))]))
    assert "token ids up to 403 but the model embeds" in refusal(
        ar.load, tmp_path / "other", vocab=tmp_path / "vocab.txt"
    )


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        (None, {}, "texts is None"),
        (5, {}, "texts is a int; expected a string or a list"),
        ({"text": ["a"]}, {}, "texts is a dict"),
        (["a"], {"labels": 1}, "labels is a int"),
        (["a"], {"target": None}, "The target is None; expected predicted, given, all"),
        (["a"], {"target": 1.0}, "The target is 1.0"),
        (["a"], {"method": ["attnlrp"]}, "Unknown method ['attnlrp']"),
        (["a"], {"max_length": "5"}, "max_length='5': expected a whole number"),
        (["fine", "b \ud800"], {}, "Text 2: "),
    ],
)
def test_wrong_types_are_refused(classifier, texts, options, said):
    assert said in refusal(ar.explain, classifier, texts, **options)


def test_what_is_no_classifier_is_refused():
    assert "expected what autorel_jax.load returns" in refusal(ar.explain, "path", ["a"])


def test_generators_and_numpy_values_are_taken(classifier):
    (made,) = ar.explain(classifier, (text for text in ["a"]), np.array(["bad"]), target=np.int64(1))
    assert (made.text_pair, made.target) == ("bad", classifier.config.labels[1])
    (given,) = ar.explain(classifier, ["a"], labels=iter([np.int32(0)]), target="given")
    assert given.target == classifier.config.labels[0]


def test_memory_that_runs_out_is_told_with_advice(classifier, monkeypatch):
    def full(*arguments):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.")

    monkeypatch.setattr("autorel_jax.explaining.compute.token_scores", full)
    assert "A single text does not fit the device's memory; use a smaller length" in refusal(
        ar.explain, classifier, TEXTS
    )
