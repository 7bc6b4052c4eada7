"""Measures of faithfulness: each against a slow reference and against what is known of a linear bag of words."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from bag_of_words import MASK, BagOfWords, found, scored, softmax, text_of
from models import refusal
from tolerances import FAITHFULNESS

from autorel_jax.faithfulness import curves, naopc, ranks
from autorel_jax.faithfulness.asking import Job, found_by
from autorel_jax.faithfulness.intervals import correlation_of, mean_of
from autorel_jax.faithfulness.methods import parsed
from autorel_jax.faithfulness.protocols import PROTOCOLS, UP
from autorel_jax.faithfulness.units import readings, token_in_place

WEIGHTS = np.array([0.4, -1.1, 2.0, 0.3, -0.2, 0.9])
U = len(WEIGHTS)
MODEL = BagOfWords(WEIGHTS)
SCORES = np.array([0.1, 0.7, -0.4, 0.2, 0.9, -0.3])  # of a method that knows little
OF_PARTS = [protocol for protocol in PROTOCOLS.values() if protocol.perturbs]
PAIRS = [(2, 0), (1, 3), (4, 5)]


class Interacting(BagOfWords):
    """With words that do more together, so that orders and subsets matter."""

    def logits(self, rows):
        made = super().logits(rows)
        for row, one in zip(rows, made, strict=True):
            there = set(row.ids.tolist())
            one[1] += sum(0.5 + a for a, b in PAIRS if {a + 1, b + 1} <= there)
            one[0] += 0.3 * (3 in there)
        return made


CROSSED = Interacting(WEIGHTS)


def logits(model, kept):
    """Of a text whose other words are masked."""
    ids = np.array([i + 1 if i in kept else MASK for i in range(U)])
    return model.logits([SimpleNamespace(ids=ids)])[0]


def probability(model, kept):
    return softmax(logits(model, kept))[1]


def aopc(model, units):
    """By its definition, one word after the other."""
    whole, left, lost = probability(model, range(U)), set(range(U)), []
    for unit in units:
        left.remove(unit)
        lost.append(whole - probability(model, left))
    return sum(lost) / len(lost)


def trapezoids(points):
    return sum((x2 - x1) * (y1 + y2) / 2 for (x1, y1), (x2, y2) in itertools.pairwise(points))


def best_first(scores=SCORES):
    return sorted(range(U), key=lambda unit: -scores[unit])


def test_curves_against_a_slow_reference():
    first, text = best_first(), scored(SCORES)
    got = found(CROSSED, curves.curves(text), U)
    sizes = [round(U * step / 10) for step in range(11)]
    morf = [(k / U, probability(CROSSED, set(range(U)) - set(first[:k]))) for k in sizes]
    inserted = [((U - k) / U, probability(CROSSED, set(first[: U - k]))) for k in reversed(sizes)]  # into an empty text
    assert got["morf"] == pytest.approx(trapezoids(morf), abs=FAITHFULNESS)
    assert got["auac"] == pytest.approx(trapezoids(inserted), abs=FAITHFULNESS)
    assert got["between"] == pytest.approx(got["auac"] - got["morf"], abs=FAITHFULNESS)
    np.testing.assert_allclose(got["curve_morf"], [y for _, y in morf], atol=FAITHFULNESS)
    np.testing.assert_allclose(got["curve_lerf"][::-1], [y for _, y in inserted], atol=FAITHFULNESS)


def test_au_mse_against_a_slow_reference():
    by_size = sorted(range(U), key=lambda unit: abs(SCORES[unit]))
    whole = logits(CROSSED, range(U))
    points = []
    for k in (round(U * step / 10) for step in range(11)):
        error = logits(CROSSED, set(by_size[k:])) - whole
        points.append((k / U, sum(error**2) / 2))
    got = found(CROSSED, curves.au_mse(scored(SCORES)), U)
    assert got["au_mse"] == pytest.approx(trapezoids(points), abs=FAITHFULNESS)


@pytest.mark.parametrize("suffix", ["", "_tenths"])
def test_erasers_bins_against_a_slow_reference(suffix):
    shares = [1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100][1:] if suffix else [1, 5, 10, 20, 50]
    first, got = best_first(), found(CROSSED, curves.eraser(scored(SCORES)), U)
    for kind, of in (("", lambda kept: probability(CROSSED, kept)), ("_logit", lambda kept: logits(CROSSED, kept)[1])):
        without, alone = [], []
        for share in shares:
            k = -(-share * U // 100)  # rounded up
            without.append(of(range(U)) - of(set(first[k:])))
            alone.append(of(range(U)) - of(set(first[:k])))
        assert got[f"comprehensiveness{suffix}{kind}"] == pytest.approx(np.mean(without), abs=FAITHFULNESS)
        assert got[f"sufficiency{suffix}{kind}"] == pytest.approx(np.mean(alone), abs=FAITHFULNESS)


def test_bounds_are_those_of_all_orders():
    every = [aopc(CROSSED, units) for units in itertools.permutations(range(U))]
    got = found(CROSSED, naopc.bounds(U), U)
    assert (got["least"], got["greatest"]) == pytest.approx((min(every), max(every)), abs=FAITHFULNESS)


def test_naopc_against_a_slow_reference():
    bounds = tuple(found(CROSSED, naopc.bounds(U), U)[name] for name in ("least", "greatest"))
    got = found(CROSSED, naopc.naopc(scored(SCORES, bounds=bounds)), U)
    for name, units in (("comprehensiveness", best_first()), ("sufficiency", best_first()[::-1])):
        expected = (aopc(CROSSED, units) - bounds[0]) / (bounds[1] - bounds[0])
        assert got[f"naopc_{name}"] == pytest.approx(expected, abs=FAITHFULNESS)


def test_a_beam_finds_the_bounds_of_a_linear_model(monkeypatch):
    """There the order of the weights is the best, which the exact search finds too."""
    exact = found(MODEL, naopc.bounds(U), U)
    monkeypatch.setattr(naopc, "EXACT", 0)
    assert found(MODEL, naopc.bounds(U), U) == pytest.approx(exact, abs=FAITHFULNESS)
    many = np.random.default_rng(0).standard_normal(14)
    got = found(BagOfWords(many), naopc.bounds(14), 14)
    least, greatest = (
        found(BagOfWords(many), naopc.naopc(scored(many, bounds=(got["least"], got["greatest"]))), 14)[name]
        for name in ("naopc_sufficiency", "naopc_comprehensiveness")
    )
    assert (least, greatest) == pytest.approx((0, 1), abs=FAITHFULNESS)


class Together(BagOfWords):
    """Where any of the first three words, or all of them, make the target; the others add a little."""

    def __init__(self, make):
        super().__init__(np.array([0.0] * 3 + [0.1] * 9))
        self.make = make

    def logits(self, rows):
        made = super().logits(rows)
        for row, one in zip(rows, made, strict=True):
            one[1] += 5 if self.make(word in row.ids for word in (1, 2, 3)) else -5
        return made


@pytest.mark.parametrize("make", [any, all])
def test_a_beam_finds_words_that_act_together(make, monkeypatch):
    """None changes anything as the first that leaves (any) or comes (all): only the other end shows the order."""
    beam = found(Together(make), naopc.bounds(12), 12)
    monkeypatch.setattr(naopc, "EXACT", 12)
    assert beam == pytest.approx(found(Together(make), naopc.bounds(12), 12), abs=FAITHFULNESS)


def test_nothing_of_a_text_whose_orders_are_all_alike():
    assert found(MODEL, naopc.naopc(scored(SCORES, bounds=(0.5, 0.5))), U) == {}
    assert found(MODEL, naopc.naopc(scored(SCORES)), U) == {}


def spearman(a, b):
    """By its definition, with the mean rank of ties."""
    ranks_of = [[np.mean([i for i, y in enumerate(sorted(x)) if y == one]) for one in x] for x in (a, b)]
    return np.corrcoef(ranks_of)[0, 1]


@pytest.mark.parametrize("scores", [SCORES, np.array([1, 1, 0, 3, 3, 3.0])])
def test_leave_one_out_against_a_slow_reference(scores):
    lost = [logits(CROSSED, range(U))[1] - logits(CROSSED, set(range(U)) - {unit})[1] for unit in range(U)]
    got = found(CROSSED, ranks.leave_one_out(scored(scores)), U)
    assert got["leave_one_out"] == pytest.approx(spearman(scores, lost), abs=FAITHFULNESS)


def test_shapley_against_all_orders():
    gains = np.zeros(U)
    for units in itertools.permutations(range(U)):
        before = set()
        for unit in units:
            gains[unit] += logits(CROSSED, before | {unit})[1] - logits(CROSSED, before)[1]
            before.add(unit)
    gains /= math.factorial(U)
    values = np.array([logits(CROSSED, {i for i in range(U) if k >> i & 1})[1] for k in range(2**U)])
    np.testing.assert_allclose(ranks.shapley_values(values, U), gains, atol=FAITHFULNESS)
    got = found(CROSSED, ranks.shapley(scored(SCORES)), U)
    assert got["shapley"] == pytest.approx(spearman(SCORES, gains), abs=FAITHFULNESS)
    assert found(MODEL, ranks.shapley(scored(np.arange(11.0))), 11) == {}


def test_word_deletion_against_a_slow_reference():
    first = best_first(WEIGHTS)
    right = [logits(MODEL, set(first[min(k, U) :])).argmax() == 1 for k in range(1, 11)]
    assert 0 < sum(right) < 10
    got = found(MODEL, curves.word_deletion(scored(WEIGHTS, right=True)), U)
    assert got == {"accuracy": sum(right) / 10, "curve_accuracy": [float(one) for one in right]}
    for known in (False, None):
        assert found(MODEL, curves.word_deletion(scored(WEIGHTS, right=known)), U) == {}


def test_a_masked_model_that_is_wrong_on_the_whole_text_loses_nothing_by_deletion():
    asked = curves.word_deletion(scored(WEIGHTS, right=True))
    sizes = len(next(asked))
    with pytest.raises(StopIteration) as end:
        asked.send(SimpleNamespace(hit=np.arange(sizes) > 0))
    assert end.value.value == {}


def every_measure(scores, model=MODEL):
    """All numbers of all protocols but curves."""
    bounds = tuple(found(model, naopc.bounds(U), U)[name] for name in ("least", "greatest"))
    text = scored(scores, right=True, bounds=bounds)
    return {
        name: value
        for protocol in OF_PARTS
        for name, value in found(model, protocol.measurement(text), U).items()
        if not name.startswith("curve")
    }


def test_a_linear_models_own_weights_are_best():
    """No order of words gets a better number in anything; where sizes count, weights that are contributions do too."""
    own = every_measure(WEIGHTS)
    better = {measure.name: measure.better for protocol in OF_PARTS for measure in protocol.measures}
    assert own.keys() == better.keys()
    assert own["naopc_comprehensiveness"] == pytest.approx(1, abs=FAITHFULNESS)
    assert own["naopc_sufficiency"] == pytest.approx(0, abs=FAITHFULNESS)
    assert own["leave_one_out"] == own["shapley"] == pytest.approx(1, abs=FAITHFULNESS)
    for units in list(itertools.permutations(range(U)))[::7]:
        for name, value in every_measure(np.array(units, float)).items():
            if name != "au_mse":  # changes of mixed signs cancel: no order by size is the best of all
                sign = 1 if better[name] == UP else -1
                assert sign * value <= sign * own[name] + FAITHFULNESS, name


def test_weights_of_one_sign_are_best_by_size():
    model = BagOfWords(np.abs(WEIGHTS))
    own = found(model, curves.au_mse(scored(np.abs(WEIGHTS))), U)["au_mse"]
    every = [
        found(model, curves.au_mse(scored(units)), U)["au_mse"] for units in itertools.permutations(range(1, U + 1))
    ]
    assert own == pytest.approx(min(every), abs=FAITHFULNESS)


def test_the_mean_over_random_orders_is_its_closed_form():
    """On the logit: k of U words take k / U of Σ weights with them."""
    every = [
        found(MODEL, curves.eraser(scored(np.array(units, float))), U) for units in itertools.permutations(range(U))
    ]
    sizes = np.ceil(curves.BINS * U)
    assert np.mean([one["comprehensiveness_logit"] for one in every]) == pytest.approx(
        (sizes / U).mean() * WEIGHTS.sum(), abs=FAITHFULNESS
    )
    assert np.mean([one["sufficiency_logit"] for one in every]) == pytest.approx(
        (1 - sizes / U).mean() * WEIGHTS.sum(), abs=FAITHFULNESS
    )
    tenths = np.ceil(np.arange(1, 11) / 10 * U - 1e-9) / U
    assert np.mean([one["comprehensiveness_tenths_logit"] for one in every]) == pytest.approx(
        tenths.mean() * WEIGHTS.sum(), abs=FAITHFULNESS
    )


def test_a_flipped_sign_is_the_mirror():
    one, other = every_measure(SCORES, CROSSED), every_measure(-SCORES, CROSSED)
    for name in ("leave_one_out", "shapley", "between"):
        assert other[name] == pytest.approx(-one[name], abs=FAITHFULNESS)
    for name, mirror in (("morf", "auac"), ("naopc_comprehensiveness", "naopc_sufficiency")):
        assert other[name] == pytest.approx(one[mirror], abs=FAITHFULNESS)
        assert other[mirror] == pytest.approx(one[name], abs=FAITHFULNESS)
    assert other["au_mse"] == pytest.approx(one["au_mse"], abs=FAITHFULNESS)


def test_ties_are_broken_by_the_draws():
    zeros = np.zeros(4)
    draws = np.array([0.3, 0.1, 0.9, 0.2])
    assert curves.order(curves.Scored(zeros, draws)).tolist() == [1, 3, 0, 2]
    assert curves.order(curves.Scored(np.array([0, 1, 0, 1.0]), draws)).tolist() == [1, 3, 0, 2]
    assert curves.order_by_size(curves.Scored(np.array([0, -1, 0, 1.0]), draws)).tolist() == [0, 2, 1, 3]


def test_what_is_read_of_a_part():
    tokens = SimpleNamespace(ids=np.array([9, 1, 2, 3, 8], np.int32), types=np.array([0, 0, 0, 1, 1], np.int32))
    units, on = np.array([-1, 0, 0, 1, -1]), np.array([[True, True], [False, True], [False, False]])
    masked = [row.ids.tolist() for row in readings(tokens, units, on, 7)]
    assert masked == [[9, 1, 2, 3, 8], [9, 7, 7, 3, 8], [9, 7, 7, 7, 8]]
    deleted = [(row.ids.tolist(), row.types.tolist()) for row in readings(tokens, units, on, None)]
    assert deleted == [([9, 1, 2, 3, 8], [0, 0, 0, 1, 1]), ([9, 3, 8], [0, 1, 1]), ([9, 8], [0, 1])]


def test_a_token_that_the_tokenizer_lacks_is_refused():
    tokenizer = SimpleNamespace(mask_id=None, unk_id=3, pad_id=0)
    assert "accepted here: unknown, pad, deletion" in refusal(token_in_place, "mask", tokenizer)
    assert token_in_place("unknown", tokenizer) == 3
    assert token_in_place("deletion", tokenizer) is None


def test_measurements_share_what_they_ask_for():
    asked = []

    class Counting(BagOfWords):
        def logits(self, rows):
            asked.append(len(rows))
            return super().logits(rows)

    tokens, units = text_of(U)
    model = Counting(WEIGHTS)
    two = [curves.curves(scored(SCORES)), ranks.leave_one_out(scored(SCORES))]
    together = found_by([Job(tokens, units, MASK, 1, one) for one in two], model)
    assert asked == [22 + U + 1]  # one round for both
    assert together == [
        found(MODEL, curves.curves(scored(SCORES)), U),
        found(MODEL, ranks.leave_one_out(scored(SCORES)), U),
    ]


def test_intervals_against_a_slow_bootstrap():
    values = np.random.default_rng(1).standard_normal(40)
    got = mean_of(np.concatenate([values, [np.nan]]), 4000, 0)
    rng = np.random.default_rng(2)
    means = sorted(np.mean(rng.choice(values, 40)) for _ in range(4000))
    assert (got.n, got.mean) == (40, pytest.approx(values.mean(), abs=FAITHFULNESS))
    assert (got.low, got.high) == pytest.approx((means[100], means[3899]), abs=0.1 * (got.high - got.low))
    one = mean_of(np.array([2.0]), 10, 0)
    assert one[:2] == (1, 2)
    assert np.isnan(one[2:]).all()  # a single text tells nothing of others
    assert mean_of(np.array([np.nan]), 10, 0).n == 0


def test_correlations_against_a_slow_bootstrap():
    """Of one series, and of two in the same texts."""
    rng = np.random.default_rng(5)
    real, noise = rng.standard_normal((2, 40))
    near, far = real + 0.3 * noise, rng.standard_normal(40)
    rows = [rng.integers(40, size=40) for _ in range(4000)]
    for minus in (None, far):
        slow = []
        for row in rows:
            of_far = 0 if minus is None else np.corrcoef(far[row], real[row])[0, 1]
            slow.append(np.corrcoef(near[row], real[row])[0, 1] - of_far)
        got = correlation_of(near, real, 4000, 0, minus)
        less = 0 if minus is None else np.corrcoef(far, real)[0, 1]
        assert got.mean == pytest.approx(np.corrcoef(near, real)[0, 1] - less, abs=FAITHFULNESS)
        ends = np.percentile(slow, (2.5, 97.5))
        assert (got.low, got.high) == pytest.approx(ends, abs=0.1 * (got.high - got.low))
    same = correlation_of(near, real, 100, 0, near)
    assert same[1:] == pytest.approx((0, 0, 0), abs=FAITHFULNESS)
    assert np.isnan(correlation_of(near, real, 100, 0, np.ones(40)).mean)
    assert np.isnan(correlation_of(near[:2], real[:2], 100, 0)[1:]).all()  # two texts say nothing
    three = [correlation_of(near[:3], real[:3], 1, seed) for seed in range(40)]
    assert {round(one.mean, 6) for one in three} == {round(np.corrcoef(near[:3], real[:3])[0, 1], 6)}
    assert 0 < np.isnan([one.low for one in three]).sum() < 40  # one resample, in which one text is three times


def test_methods_with_parameters():
    assert parsed("lime:samples=50:baseline=pad") == ("lime", {"samples": 50.0, "baseline": "pad"})
    assert parsed("attnlrp") == ("attnlrp", {})
    assert "NAME:PARAMETER=VALUE" in refusal(parsed, "lime:samples")
