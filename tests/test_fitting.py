"""fitting.py: memory that runs out halves a batch, and the work goes on; every row once and in order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models import refusal
from tolerances import SAME_TEXT

import autorel_jax as ar
from autorel_jax.data.row import Row
from autorel_jax.explaining.compute import Computer
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.fitting import fitted

FULL = "RESOURCE_EXHAUSTED: Out of memory allocating 1 byte."


class Late:
    """An array whose memory runs out when it is waited for, as on a GPU."""

    def __array__(self, *arguments, **options):
        raise jax.errors.JaxRuntimeError(FULL)


def device(room, late):
    """A function that computes at most `room` rows; the sizes of the batches that it was asked for."""
    asked = []

    def compute(places):
        asked.append(len(places))
        if len(places) > room and not late:
            raise jax.errors.JaxRuntimeError(FULL)
        return [Late()] if len(places) > room else [jnp.array(places) * 10]

    return compute, asked


@pytest.mark.parametrize("late", [False, True])
def test_a_batch_that_does_not_fit_is_halved_and_the_work_goes_on(late):
    compute, asked = device(3, late)
    too_large = []
    found = list(fitted(compute, [list(range(8)), [8, 9], [10, 11, 12, 13]], too_large.append))
    assert [place for places, _ in found for place in places] == list(range(14))
    for places, (array,) in found:
        np.testing.assert_array_equal(array, 10 * np.array(places))
    assert [len(places) for places, _ in found] == [2, 2, 2, 2, 2, 2, 2]
    assert sorted(map(len, too_large)) == [4, 4, 4, 8]
    assert asked[:2] == [8, 2]  # the second batch is under way before the first is waited for


def test_one_row_that_does_not_fit_is_refused():
    compute, _ = device(0, late=False)
    said = refusal(lambda: list(fitted(compute, [[0, 1]])))
    assert said.startswith("A single text does not fit the device's memory")


def test_other_errors_are_not_swallowed():
    def broken(places):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        list(fitted(broken, [[0]]))


class Small(Computer):
    """A computer on a device that holds two rows of more than 16 tokens, or any number of shorter ones."""

    def compute(self, rows, goal, places, lengths=()):
        self.asked = [*getattr(self, "asked", []), len(places)]
        if len(places) > 2 and self.length(rows, places) > 16:
            raise jax.errors.JaxRuntimeError(FULL)
        return super().compute(rows, goal, places, lengths)


def test_an_explainer_remembers_what_fits(classifier):
    texts = ["good " * 20] * 8 + ["bad"] * 8
    config = ar.ExplainConfig(batch_size=8)
    explainer = Explainer(classifier, config)
    explainer.computer = Small(classifier, config)
    rows = [Row(n, text, None, None) for n, text in enumerate(texts)]
    for expected in ([8, 8, 4, 2, 2, 4, 2, 2], [2, 2, 2, 2, 8]):
        explainer.computer.asked = []
        found = list(explainer.explain_chunk(rows, lambda done: None))
        assert explainer.computer.asked == expected
        assert [e.id for e in found] == list(range(16))
        for one, other in zip(found, Explainer(classifier, config).explain(rows), strict=True):
            np.testing.assert_allclose(one.token_relevance, other.token_relevance, rtol=0, atol=SAME_TEXT)
    assert explainer.computer.limits == {32: 2}
