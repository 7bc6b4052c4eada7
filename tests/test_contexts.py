"""Windows of long texts: of what several of them hold, the one that counts. And entities in them."""

import math
import warnings

import numpy as np
import pytest
from token_models import TEXT, write_tagger
from tolerances import SAME_TEXT

import autorel_jax as ar
from autorel_jax.explaining.contexts import Window, apart, deepest


def window(first, last, start=False, end=False):
    """One that reads the places first to last; start, end: whether the text begins or ends with it."""
    return Window(None, np.arange(first, last + 1), (-math.inf if start else first, math.inf if end else last))


WINDOWS = [window(0, 9, start=True), window(5, 14), window(10, 19, end=True)]


def runs(*each):
    return [[np.arange(first, last + 1) for first, last in of] for of in each]


def test_the_window_with_the_most_context():
    assert deepest(np.array([0, 1]), WINDOWS) == 0
    assert deepest(np.array([6]), WINDOWS) == 0  # 3 tokens from its edge; in the second 1
    assert deepest(np.array([8]), WINDOWS) == 1  # 1 token from the edge of the first, 3 in the second
    assert deepest(np.array([19]), WINDOWS) == 2
    assert deepest(np.arange(4, 12), WINDOWS) is None


def test_each_run_counts_once_and_where_it_is_whole():
    same = runs([(8, 9)], [(8, 9)], [])
    assert apart(same, WINDOWS) == [(1, 0)]
    cut = runs([(1, 2), (8, 9)], [(8, 11)], [(10, 11)])  # the edges of the first and the third cut it
    assert apart(cut, WINDOWS) == [(0, 0), (1, 0)]
    assert apart(runs([(6, 6)], [], []), WINDOWS) == [(0, 0)]
    assert apart(runs([], [(6, 6)], []), WINDOWS) == []  # the first, which sees more around it, has none there
    assert apart(runs([(1, 3)], [], [(17, 18), (19, 19)]), WINDOWS) == [(0, 0), (2, 0), (2, 1)]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    return ar.load(write_tagger(tmp_path_factory.mktemp("models") / "tagger"))


def test_entities_in_a_long_text(tagger):
    """Each once, with its place in the whole text; as if its window were the text."""
    text = f"{TEXT} {TEXT} {TEXT}"
    long = {"long": "windows", "max_length": 16, "stride": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ar.explain(tagger, text, **long)
    spans = [one.span for one in found]
    assert spans == sorted(spans)
    places = [place for span in spans for place in range(*span)]
    assert len(set(places)) == len(places)
    for one in found:
        assert text[slice(*one.span)] == one.span_text
        assert len(one.tokens) <= 16
        assert one.truncated_tokens == 0
        assert "the text was read in" in one.warnings[0]
    one = found[0]
    first, last = one.word_spans[1][0], one.word_spans[-2][1]
    read = ar.explain(tagger, text[first:last])
    alone = next(other for other in read if other.span == (one.span[0] - first, one.span[1] - first))
    np.testing.assert_allclose(one.token_relevance, alone.token_relevance, rtol=0, atol=SAME_TEXT * 10)


def test_words_of_a_long_text(tagger):
    text = f"{TEXT} a good {TEXT}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (named,) = ar.explain(tagger, text, at="good the", target="B-LOC", long="windows", max_length=16)
        short = ar.explain(tagger, TEXT, long="windows")
    assert text[slice(*named.span)] == named.span_text == "good the"
    assert [one.windows for one in short] == [()] * 2
    assert [one.span for one in short] == [one.span for one in ar.explain(tagger, TEXT)]
