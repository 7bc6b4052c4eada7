"""autorel diff and ar.diff: flips, rank correlations, words whose role changed, limits, and what cannot be compared."""

import dataclasses
import importlib
import json
import math
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import jax
import numpy as np
import pytest
from family_models import write_family
from models import VOCAB, random_params, refusal, tiny_config, write_model

import autorel_jax as ar
from autorel_jax.auditing.diff_alignment import aligned
from autorel_jax.auditing.diff_limits import Limits, read_limits
from autorel_jax.cli.main import COMMANDS, main
from autorel_jax.model.config import MULTI
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights import write

TEXTS = ["a good film", "bad", "a witty, good one", "the film, a bad and witty one", "good good film"]


def result(
    scores, text="a good film", number=1, target="positive", predicted="positive", logits=(0.0, 1.0), special=0.0
):
    """A record of a text whose words are between spaces."""
    words, end = text.split(" "), -1
    spans = [(start := end + 1, end := start + len(word)) for word in words]
    return {
        "id": number,
        "text": text,
        "target": target,
        "prediction": {"label": predicted},
        "logits": list(logits),
        "probabilities": None,
        "words": ["[CLS]", *words],
        "word_relevance": [special, *scores],
        "word_spans": [None, *map(list, spans)],
        "word_segments": [0] * (len(words) + 1),
    }


# Results, by hand.


def test_the_rank_correlation_is_of_the_words_alone():
    """Ranks 0 1 2 against 1 0 2: 1 - 6 Σd² / (n (n² - 1)) = 1 - 12 / 24, whatever special tokens have."""
    found = ar.diff([result([1, 2, 3], special=9)], [result([2, 1, 3], special=-9)])
    assert found.correlation.median[:2] == (1, 0.5)
    assert (found.correlation.short, found.correlation.constant, found.flips) == (0, 0, [])
    assert math.isnan(found.correlation.median.low)  # one text has no interval


def test_ties_have_the_mean_of_their_ranks():
    """Ranks 0.5 0.5 2 against 0 1 2: covariance 1.5, deviations √1.5 and √2."""
    found = ar.diff([result([1, 1, 3])], [result([1, 2, 3])])
    assert found.correlation.median.mean == pytest.approx(1.5 / math.sqrt(1.5 * 2), abs=1e-12)


def test_texts_without_a_correlation_are_counted_apart():
    old = [result([1, 2], "two words", 1), result([1, 1, 1], number=2), result([1, 2, 3], number=3)]
    new = [result([2, 1], "two words", 1), result([1, 2, 3], number=2), result([1, 2, 3], number=3)]
    found = ar.diff(old, new)
    assert (found.correlation.short, found.correlation.constant, found.correlation.median.n) == (1, 1, 1)
    assert sum(found.uncompared.values()) == 0


def test_every_text_is_in_some_count():
    old = [result([1, 2, 3], number=number) for number in range(6)]
    new = [result([1, 2, 3], number=number) for number in range(1, 8)]
    new[0] = result([1, 2, 3], number=1, target="negative")
    new[1] = result([1, None, 3], number=2)
    new[2] = {**result([1, 2, 3], number=3), "words": ["[CLS]", "a"], "word_relevance": [0, 1]}
    new[2] |= {"word_spans": [None, [0, 1]], "word_segments": [0, 0]}  # the rest was cut off
    found = ar.diff(old, new)
    assert list(found.uncompared.values()) == [1, 2, 1, 1, 1]
    assert found.texts == 8 == sum(found.uncompared.values()) + found.correlation.median.n
    (breach,) = found.breaches(max_uncompared=0.5)
    assert "6 of 8 texts (75 %)" in breach


def test_a_text_that_comes_twice_is_two_texts():
    old = [result([1, 2, 3]), result([1, 2, 3])]
    found = ar.diff(old, [result([3, 2, 1]), result([1, 2, 3])])
    assert found.correlation.quantiles["0 %"] == -1
    assert found.correlation.quantiles["100 %"] == 1
    assert "50 %" not in found.correlation.quantiles  # the median is said, with its interval
    assert ar.diff(old, old[:1]).uncompared["that the old results have alone"] == 1


def test_rows_of_one_text_are_told_from_the_targets_of_one_row():
    """All texts have the same targets, as by `--target all`; or a text has two labels, as by `--target given`."""
    flipped = {"predicted": "negative", "logits": (1.0, 0.0)}
    old = [result([1, 2, 3], target=target) for target in ("positive", "negative")]
    new = [result([1, 2, 3], target=target, **flipped) for target in ("positive", "negative")]
    more = [one | {"id": 2} for one in old]
    found = ar.diff([*old, *more], [*new, *more])
    assert (len(found.flips), found.compared_predictions) == (1, 2)
    found = ar.diff([*old, *old, *more], [*new, *new, *more])
    assert (len(found.flips), found.compared_predictions) == (2, 3)
    said = refusal(ar.diff, [*old, more[0]], [*new, more[0]])
    assert said.startswith(
        "the old results: text 1 has results for positive, negative; text 2 has results for positive"
    )
    assert "give each row an id of its own" in said
    apart = [one | {"id": f"{one['id']} {one['target']}"} for one in (*old, more[0])]
    found = ar.diff(apart, [one | {"id": f"{one['id']} {one['target']}"} for one in (*new, more[0])])
    assert (len(found.flips), found.compared_predictions) == (2, 3)


def test_the_labels_of_results():
    """Those that `model.labels` lists, one for each logit; older results have none."""

    def listed(*labels):
        made = result([1, 2, 3], logits=(0.0,) * len(labels))
        return [made | {"model": {"name": "m", "weights_sha256": "0", "labels": list(labels)}}]

    names = ("negative", "positive")
    for new, answer, said in (
        (names, "holds", "they are the same"),
        (names[::-1], "broken", "in another order: negative, positive; now positive, negative"),
        (("sad", "positive", "so-so"), "broken", "lost: negative; gained: sad, so-so"),
    ):
        (finding,) = ar.diff(listed(*names), listed(*new)).findings(same_labels=True)
        assert (finding.answer, finding.said) == (answer, said)
    old = result([1, 2, 3], number=2) | {"model": {"name": "m", "weights_sha256": "0"}}
    assert ar.diff(listed(*names), [*listed(*names), old]).labels is None
    assert "labels share a name" in refusal(ar.diff, listed(*names), listed("positive", "positive"))
    assert "of several models" in refusal(ar.diff, listed(*names), [*listed(*names), *listed(*names[::-1])])


def test_results_that_list_their_labels_tell_which_flip():
    old, new = (
        [one | {"model": {"labels": ["a", "b", "c"]}} for one in several(chances, ["a"])]
        for chances in ([0.9, 0.6, 0.1], [0.9, 0.4, 0.1])
    )
    (flip,) = ar.diff(old, new).flips
    assert (flip.old, flip.new) == ("a, b", "a")


def test_flips_have_their_words():
    old = result([1, 2, -3])
    new = result([1, -2, 3], target="negative", predicted="negative", logits=(1.0, 0.0))
    found = ar.diff([old], [new, result([5, 1, 2], predicted="negative", logits=(1.0, 0.0))])
    (flip,) = found.flips
    assert (flip.old, flip.new, flip.old_words, flip.new_words) == (
        "positive",
        "negative",
        ["good", "a"],
        ["film", "a"],
    )
    assert found.flip_rate[:2] == (1, 1.0)
    assert found.correlation.median.n == 1  # for positive, which both have


def test_a_flip_of_what_was_not_explained_has_no_words():
    old, new = result([1, 2, 3]), result([1, 2, 3], predicted="negative")
    (flip,) = ar.diff([old], [new]).flips
    assert (flip.old_words, flip.new_words) == (["film", "good", "a"], None)
    assert flip.line == "text 1: positive (by film, good, a) -> negative (not explained): a good film"


def test_logits_that_are_not_finite_are_no_prediction():
    found = ar.diff([result([1, 2, 3], logits=(None, 1.0))], [result([1, 2, 3], predicted="negative")])
    assert (found.flips, found.compared_predictions) == ([], 0)
    (breach,) = found.breaches(max_flips=0)
    assert breach.startswith("unknown: max_flips")


def several(probabilities, explained=("a", "b", "c")):
    """The results of a text to which a model gives several labels at once; "a" has the highest logit."""
    logits = [math.log(one / (1 - one)) for one in probabilities]
    one = result([1, 2, 3], predicted="a", logits=logits) | {"probabilities": list(probabilities)}
    return [one | {"target": label, "target_value": logits["abc".index(label)]} for label in explained]


def test_labels_of_which_several_may_be_given_flip_as_a_set():
    """The label with the highest logit is the same in all."""
    found = ar.diff(several([0.9, 0.6, 0.1]), several([0.9, 0.4, 0.5]))
    (flip,) = found.flips
    assert (flip.old, flip.new) == ("a, b", "a, c")
    assert flip.old_words == flip.new_words == ["film", "good", "a"]
    assert ar.diff(several([0.9, 0.6, 0.1]), several([0.8, 0.7, 0.2])).flips == []
    assert ar.diff(several([0.3, 0.2, 0.1]), several([0.6, 0.2, 0.1])).flips[0].old == "no label"


def test_the_order_of_results_is_not_that_of_labels():
    """A file may hold all results of one label, then those of the next; labels that are always equal have no place."""
    old, new = several([0.9, 0.6, 0.1]), several([0.9, 0.4, 0.5])
    (flip,) = ar.diff(old[::-1], [new[1], new[2], new[0]]).flips
    assert (flip.old, flip.new) == ("a, b", "a, c")
    equal = several([0.9, 0.2, 0.2])
    assert ar.diff(equal, new).compared_predictions == 0
    both = [several(chances) for chances in ([0.9, 0.2, 0.2], [0.9, 0.6, 0.1])]
    old = [*both[0], *(one | {"id": 2} for one in both[1])]
    assert ar.diff(old, [one | {"id": 2} for one in new]).flips[0].new == "a, c"


def test_probabilities_that_add_up_to_1_may_be_of_labels_apart():
    """0.3, 0.3, 0.4 gives no label if they are apart, and the third if they exclude each other."""
    logits = [math.log(chance) for chance in (0.3, 0.3, 0.4)]
    apart = several([0.3, 0.3, 0.4])
    apart = [one | {"prediction": {"label": "c"}} for one in apart]
    assert ar.diff(apart, apart).compared_predictions == 0
    softmax = [one | {"logits": logits} for one in apart]
    assert ar.diff(softmax, softmax).compared_predictions == 1
    sure = several([1 - 1e-9, 1e-9, 1e-10])  # of either kind it is "a"
    assert ar.diff(sure, sure).compared_predictions == 1


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"logits": [None, 1.0]}, {"max_flips": 0}),
        ({"logits": [None, 1.0]}, {"max_flip_rate": 0}),
        ({"word_relevance": [0, None, 2, 3]}, {"min_median_rank_correlation": 1}),
        ({"word_relevance": [0, 0, 0, 0]}, {"min_median_rank_correlation": 1}),
        ({"word_relevance": [0, 0, 0, 0]}, {"min_low_rank_correlation": 1}),
        ({"id": 3}, {"max_flips": 0}),
    ],
)
def test_a_limit_kept_by_some_texts_is_unknown(changes, limit):
    old = [result([1, 2, 3]), result([1, 2, 3], number=2)]
    found = ar.diff(old, [old[0], old[1] | changes])
    every = 3 if "id" in changes else 2
    (breach,) = found.breaches(**limit)
    assert breach.startswith(f"unknown: {next(iter(limit))}: ")
    assert breach.endswith(f"; of {every} texts, {every - 1} left out; say by max_uncompared how many may be")
    allowed = found.findings(**limit, max_uncompared=0.7)
    assert [one.answer for one in allowed] == ["holds", "holds"]
    assert allowed[0].said.endswith(f"; of {every} texts, {every - 1} left out")
    assert found.findings(**limit, max_uncompared=0.1)[0].answer == "unknown"


def test_what_is_left_may_break_a_limit():
    old = [result([1, 2, 3]), result([1, 2, 3], number=2)]
    new = [result([3, 2, 1], predicted="negative"), result([1, 2, 3], number=2, logits=(None, 1.0))]
    found = ar.diff(old, new)
    assert [one.answer for one in found.findings(max_flips=0, max_flip_rate=0.5)] == ["broken", "broken"]
    assert found.findings(max_flips=1)[0].answer == "unknown"


def test_a_limit_that_nothing_breaks_says_so():
    same = [result([1, 2, 3])]
    found = ar.diff(same, same)
    for given in ({"max_flip_rate": 1}, {"max_uncompared": 1}, {"min_low_rank_correlation": -1}):
        assert found.findings(**given)[0].said.endswith(", which nothing breaks")
    assert not found.findings(max_flips=0)[0].said.endswith(", which nothing breaks")


def test_without_their_names_it_is_not_told_which_labels_flip():
    found = ar.diff(several([0.9, 0.6, 0.1], ["a"]), several([0.9, 0.4, 0.1], ["a"]))
    assert (found.compared_predictions, found.flips) == (0, [])
    (breach,) = found.breaches(max_flips=0)
    assert breach.startswith("unknown: max_flips")


def test_several_labels_of_two_models(tmp_path):
    """By hand: those whose probability is a half or more."""
    for seed, name in enumerate(("old", "new")):
        tokenizer = load_tokenizer(VOCAB)
        config = tiny_config(vocab_size=tokenizer.max_id + 1, max_position_embeddings=64, problem_type=MULTI)
        write(tmp_path / name, config, random_params(config, seed=seed, scale=0.4), tokenizer)
    both = [ar.load(tmp_path / name) for name in ("old", "new")]
    given = [
        [
            [label for label, chance in zip(one.config.labels, made.probabilities, strict=True) if chance >= 0.5]
            for made in ar.explain(one, TEXTS, method="gradient_x_input")
        ]
        for one in both
    ]
    flips = [(", ".join(old) or "no label", ", ".join(new) or "no label") for old, new in zip(*given, strict=True)]
    found = ar.diff(*both, TEXTS, method="gradient_x_input")
    assert [(flip.old, flip.new) for flip in found.flips] == [(old, new) for old, new in flips if old != new]
    assert found.compared_predictions == len(TEXTS)


def test_labels_apart_whose_probabilities_add_up_to_1(tmp_path):
    """The model says that no label is given where none has a half."""
    for name, bias in (("old", [-0.69, -0.70, -0.6935]), ("new", [-0.70, -0.69, -0.6935])):
        tokenizer = load_tokenizer(VOCAB)
        size = {"vocab_size": tokenizer.max_id + 1, "max_position_embeddings": 64}
        config = tiny_config(**size, problem_type=MULTI, labels=("a", "b", "c"))
        params = jax.tree.map(np.array, random_params(config, scale=1e-4))
        biases = [leaf for leaf in jax.tree.leaves(params) if leaf.shape == (config.num_labels,)]
        for leaf in biases:
            leaf[:] = bias
        write(tmp_path / name, config, params, tokenizer)
    found = ar.diff(*(ar.load(tmp_path / name) for name in ("old", "new")), TEXTS[:2], method="gradient_x_input")
    assert (found.compared_predictions, found.flips) == (2, [])


def test_words_whose_role_changed():
    """Shares of Σ|relevance|: "good" has 2/4 and then -2/4 in ten texts, "a" 1/4 in all."""
    texts = [(f"a good film{number}", number) for number in range(10)]
    old = [result([1, 2, 1], *text) for text in texts]
    new = [result([1, -2, 1], *text) for text in texts]
    (change,) = ar.diff(old, new).words["positive"]
    assert (change.word, change.texts) == ("good", 10)
    np.testing.assert_allclose([change.old, change.new, change.change], [0.5, -0.5, -1], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": "margin"}, "the target is margin"),
        ({"span_text": "good"}, "classifiers of whole texts"),
        ({"id": 7}, "None of the texts is in both"),
        *(
            (damage, "the new results: text 1 is damaged; write the results anew.")
            for damage in (
                {"word_relevance": [1.0]},
                {"word_relevance": [1.0, 2.0, math.nan]},
                {"word_relevance": ["1", "2", "3"]},
                {"word_spans": "none"},
                {"word_spans": [[0, 1], [2], None]},
                {"prediction": None},
                {"prediction": "positive"},
                {"text": None},
                {"logits": None},
                {"logits": [math.nan, 1.0]},
                {"model": "org/model"},
                {"text_pair": [None]},
                {"words": [1, 2, 3, 4]},
                {"word_spans": [["0", "1"]] * 4},
                {"word_spans": [[None, None]] * 4},
                {"word_spans": [[5, 2]] * 4},
                {"word_spans": [[0, 99]] * 4},
                {"word_segments": ["0"] * 4},
                {"word_segments": [1] * 4},
                {"token_spans": 3},
                {"warnings": 3},
                {"target_value": "x"},
                {"probabilities": [1.0]},
            )
        ),
    ],
)
def test_results_that_cannot_be_compared_are_refused(changes, said):
    assert said in refusal(ar.diff, [result([1, 2, 3])], [result([1, 2, 3]) | changes])


def test_results_of_two_methods_are_refused():
    both = [result([1, 2, 3]) | {"method": {"name": name}} for name in ("attnlrp", "lime")]
    assert "several models or methods" in refusal(ar.diff, both, both)
    lacking = {name: value for name, value in result([1, 2, 3]).items() if name != "logits"}
    assert "have no logits" in refusal(ar.diff, [lacking], [lacking])
    assert "there are no results" in refusal(ar.diff, [], [])


# Words of two tokenizers.


def split(spans, scores, text="isn't it so", segments=None):
    return {
        "text": text,
        "word_spans": [None, *spans],
        "word_relevance": [7, *scores],
        "word_segments": [0, *(segments or [0] * len(spans))],
    }


def test_words_that_overlap_are_joined_on_both_sides():
    """isn't | it | so against isn | 't it | so: the first two overlap."""
    old, new = split([[0, 5], [6, 8], [9, 11]], [1, 2, 3]), split([[0, 3], [3, 8], [9, 11]], [4, 5, 6])
    found = aligned(old, new)
    assert (found.words, found.old, found.new) == (["isn't it", "so"], [3, 3], [9, 6])
    assert found.was_joined
    assert not aligned(old, old).was_joined


def test_a_word_without_a_counterpart_leaves_the_text_out():
    old = split([[0, 5], [6, 8], [9, 11]], [1, 2, 3])
    assert aligned(old, split([[0, 5], [6, 8]], [1, 2])) is None
    assert aligned(split([[0, 5], [6, 8]], [1, 2]), old) is None
    pair = split([[0, 5], [0, 5]], [1, 2], segments=[0, 1]) | {"text_pair": "other"}
    assert aligned(pair, split([[0, 5], [6, 8]], [1, 2])) is None  # the pair's word is no word of the text
    assert aligned(pair, pair).words == ["isn't", "other"]


def test_a_score_that_is_not_finite_stays_so():
    old = split([[0, 5], [6, 8]], [1, None])
    assert aligned(old, split([[0, 8]], [1])).old == [None]


# Models.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models of one architecture that predict some of TEXTS differently, one with other words, and the texts."""
    folder = tmp_path_factory.mktemp("diff")
    write_model(folder / "old")
    tokenizer = load_tokenizer(VOCAB)
    names = ("negative", "neutral", "positive")
    config = tiny_config(vocab_size=tokenizer.max_id + 1, max_position_embeddings=64, labels=names)
    write(folder / "new", config, random_params(config, seed=7, scale=0.4), tokenizer)
    write(folder / "renamed", tiny_config(**vars_of(config, labels=("a", "b", "c"))), random_params(config), tokenizer)
    (folder / "texts.csv").write_text("text\n" + "".join(f'"{text}"\n' for text in TEXTS))
    return folder


def vars_of(config, **changes):
    return {"vocab_size": config.vocab_size, "max_position_embeddings": config.max_position_embeddings} | changes


def call(capsys, *words):
    capsys.readouterr()
    code = main(["diff", *map(str, words), "--quiet"])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


@pytest.fixture(scope="module")
def both(folder):
    return [ar.load(folder / name) for name in ("old", "new")]


@pytest.fixture(scope="module")
def found(both):
    return ar.diff(*both, TEXTS)


def test_a_flip_is_compared_for_the_old_prediction(both, found):
    """Also where the new model predicts another label, words are those of the old one's."""
    old, new = (ar.explain(classifier, TEXTS) for classifier in both)
    labels = [(one.prediction.label, two.prediction.label) for one, two in zip(old, new, strict=True)]
    assert [(flip.old, flip.new) for flip in found.flips] == [pair for pair in labels if pair[0] != pair[1]]
    assert found.flips
    assert sum(found.uncompared.values()) == 0
    same = ar.explain(both[1], TEXTS, labels=[label for label, _ in labels], target="given")
    hand = []
    for one, two in zip(old, same, strict=True):
        chosen = [place for place, span in enumerate(one.word_spans) if span is not None]
        if len(chosen) >= 3:
            ranks = [np.argsort(np.argsort(side.word_relevance[chosen])) for side in (one, two)]
            hand.append(np.corrcoef(*ranks)[0, 1])
    assert found.correlation.median.mean == pytest.approx(np.median(hand), abs=1e-9)


def test_the_command_says_what_changed_and_keeps_to_limits(folder, capsys, found, tmp_path):
    (tmp_path / "limits.toml").write_text("[diff]\nmax_flips = 0\nmin_median_rank_correlation = -1\n")
    files = ("-o", tmp_path / "d.json", "--junit", tmp_path / "d.xml", "--html", tmp_path / "d.html")
    words = (
        folder / "old",
        folder / "new",
        folder / "texts.csv",
        "--limits",
        tmp_path / "limits.toml",
        "--same-labels",
    )
    code, lines, _ = call(capsys, *words, *files)
    assert code == 1
    count = len(found.flips)
    assert f"flips: {count} of 5 texts" in "\n".join(lines)
    assert lines[-3].startswith(f"broken: max_flips: {count} of 5 texts ({100 * count / 5:.3g} %); accepted: at most 0")
    assert lines[-2].startswith("holds: min_median_rank_correlation: median ")
    assert lines[-1] == "holds: same_labels: they are the same"
    saved = json.loads((tmp_path / "d.json").read_text())
    assert [flip["text"] for flip in saved["flips"]] == [flip.text for flip in found.flips]
    assert saved["correlation"]["median"]["mean"] == pytest.approx(found.correlation.median.mean, abs=1e-6)
    suite = ElementTree.parse(tmp_path / "d.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert found.flips[0].text in suite[0][0].text
    assert "<script" in (tmp_path / "d.html").read_text()
    assert call(capsys, *words, "--max-flips", count)[0] == 0  # the flag wins
    assert call(capsys, *words[:3])[0] == 0  # without limits


def test_a_model_and_itself_are_equal(folder, capsys):
    code, lines, _ = call(capsys, folder / "old", folder / "old", folder / "texts.csv", "--min-low-rank-correlation", 1)
    assert code == 0
    assert lines[-1] == "holds: min_low_rank_correlation: 95 % of 4 texts have 1.000 or more; accepted: at least 1"


def test_two_methods_two_dtypes_and_their_results(folder, capsys, tmp_path):
    code, lines, _ = call(
        capsys,
        folder / "old",
        folder / "old",
        folder / "texts.csv",
        "--new-method",
        "gradient_x_input:read_at=embeddings",
    )
    assert code == 0
    assert lines[0].endswith("old, attnlrp (read_at word_embeddings)")
    assert lines[1].endswith("old, gradient_x_input (read_at embeddings)")
    for name, flags in {"a.jsonl": (), "b.parquet": ("--dtype", "bfloat16")}.items():
        files = (folder / "texts.csv", "--model", folder / "old", "--output", tmp_path / name, "--quiet")
        assert main(["explain", *map(str, files), *flags]) == 0
    code, lines, _ = call(capsys, tmp_path / "a.jsonl", tmp_path / "b.parquet", "--max-flips", 0, "--same-labels")
    assert (code, lines[-1]) == (0, "holds: same_labels: they are the same")
    direct = call(capsys, folder / "old", folder / "old", folder / "texts.csv", "--new-dtype", "bfloat16")[1]
    assert [line for line in direct if "median" in line] == [line for line in lines if "median" in line]


def test_other_tokenizers_are_compared_by_words(folder, capsys, tmp_path):
    write_family(tmp_path / "roberta", "roberta", labels=("positive", "negative"))
    code, lines, _ = call(capsys, folder / "old", tmp_path / "roberta", folder / "texts.csv", "--max-uncompared", 0)
    labels = [line for line in lines if line.startswith("labels")]
    assert labels == ["labels lost: neutral"]
    neutral = sum(one.prediction.label == "neutral" for one in ar.explain(ar.load(folder / "old"), TEXTS))
    assert code == int(neutral > 0)
    if neutral:
        assert f"  not compared: {neutral} texts without a target that both have" in lines


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("old", "new"), "two models are compared on texts"),
        (("old", "a.jsonl", "texts.csv"), "two models on texts, or two files of results"),
        (("a.jsonl", "a.jsonl", "--method", "lime"), "--method is for models"),
        (("a.jsonl", "none.jsonl"), "there is no such file"),
        (("old", "renamed", "texts.csv"), "no label in common: negative, neutral, positive; a, b, c"),
        (("old", "new", "texts.csv", "--target", "margin"), "the target margin"),
        (("old", "new", "texts.csv", "--target", "sad"), "Unknown label 'sad'"),
        (("old", "new", "texts.csv", "--max-flip-rate", "2"), "expected a finite number of at least 0 and at most 1"),
        (("old", "new", "texts.csv", "--max-flips", "nan"), "--max-flips"),
        (("old", "new", "texts.csv", "--limits", "bad.toml"), "unknown key 'max_flip'; accepted: max_flips"),
        (("old", "new", "texts.csv", "--junit", "d.txt"), "it is a .xml file; give a name that ends so."),
        (("old", "new", "texts.csv", "--junit", "d.xml"), "reports limits, of which there are none"),
        (("old", "new", "texts.csv", "--new-method", "attn"), "Unknown method 'attn'"),
    ],
)
def test_what_cannot_be_done_is_refused(folder, capsys, monkeypatch, words, said):
    monkeypatch.chdir(folder)
    (folder / "bad.toml").write_text("max_flip = 0\n")
    (folder / "a.jsonl").write_text(json.dumps(result([1, 2, 3]) | {"schema": 2}) + "\n")
    code, out, err = call(capsys, *words)
    assert (code, out, err.count("\n")) == (2, [], 1)
    assert said in err


def test_limits_of_a_file(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text("max_flips = 3\nsame_labels = true\n")
    assert read_limits(path, {"max_flips": 1}) == Limits(max_flips=1, same_labels=True)
    for text, said in (
        ("max_flips = true\n", "max_flips"),
        ("max_flips = 1.5\n", "whole"),
        ("same_labels = 1\n", "true"),
        ("", "has no limit; give some"),
        ("[diff]\n", "has no limit; give some"),
        ("[diff]\nmax_flips = 0\n[other]\nx = 1\n", "other beside the table [diff]; nothing else is read"),
        ("same_labels = false\n", "has no limit; give some"),
    ):
        path.write_text(text)
        assert said in refusal(read_limits, path, {})
    assert "has no limit" in refusal(read_limits, path, {"max_flips": 1})


# The page.

PAGE = (Path(__file__).parents[1] / "docs" / "audit.md").read_text("utf-8")


def test_the_pytest_of_the_page(folder, tmp_path, monkeypatch):
    """It passes where both are one model, and fails where they are not."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, "docs/audit.md", "exec"), names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    (tmp_path / "sst2").symlink_to(folder / "old")
    (tmp_path / "sst2-new").symlink_to(folder / "old")
    test()
    (tmp_path / "sst2-new").unlink()
    (tmp_path / "sst2-new").symlink_to(folder / "new")
    with pytest.raises(AssertionError):
        test()


def test_the_commands_of_the_job_parse():
    (job,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
    found = re.findall(r"run: autorel (\w+) (.*)", job)
    assert [name for name, _ in found] == ["verify", "diff", "check"]
    for name, words in found:
        importlib.import_module(COMMANDS[name][0]).parser().parse_args(shlex.split(words))


def test_the_limits_of_the_page(tmp_path):
    tables = [text for text in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S) if text.startswith("[diff]")]
    (tmp_path / "limits.toml").write_text(tables[0])
    assert read_limits(tmp_path / "limits.toml", {}) == Limits(
        max_flip_rate=0.02, min_median_rank_correlation=0.8, max_uncompared=0.05, same_labels=True
    )
    for field in dataclasses.fields(Limits):
        assert f"`{field.name}`" in PAGE
