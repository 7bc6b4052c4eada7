"""Explanations as tables, records and plots of other libraries: every number where it belongs, text as it is."""

import dataclasses
import io
import sys

import numpy as np
import pytest
from explanations import SHORT, explanation
from models import refusal

from autorel_jax.report import exchange
from autorel_jax.report.explanation import Explanations

PAIR = explanation("good film", (0.0, 1.0, 0.5, 0.0), pair="bad one", id="b", target="negative")


@pytest.fixture
def plt():
    """pyplot without a display; no figure is left."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    yield pyplot
    pyplot.close("all")


def both():
    return Explanations([explanation(), PAIR])


# Tables.


def test_pandas_has_a_row_for_each_word():
    pandas = pytest.importorskip("pandas")
    frame = both().to_pandas()
    assert list(frame.columns) == [
        *("id", "target", "target_value", "prediction", "probability", "index", "segment", "word", "start", "end"),
        "relevance",
        "span_text",
    ]
    assert len(frame) == 7 + 7
    row = frame[frame["word"] == "gorgeous,"].iloc[0]
    assert (row["id"], row["index"], row["start"], row["end"], row["relevance"]) == (1, 3, 6, 15, 1.5)
    assert frame["start"].isna().tolist() == [True, *[False] * 5, True, True, False, False, True, False, False, True]
    assert frame.groupby("target")["relevance"].sum().to_dict() == pytest.approx({"positive": 1.43, "negative": 3.0})
    pandas.testing.assert_frame_equal(explanation().to_pandas(), frame[frame["id"] == 1], check_dtype=False)


def test_polars_has_the_same_rows():
    polars = pytest.importorskip("polars")
    frame = both().to_polars("token")
    expected = exchange.rows(both(), "token")
    assert frame.drop("id").to_dict(as_series=False) == {name: expected[name] for name in expected if name != "id"}
    assert frame["id"].to_list() == list(map(str, expected["id"]))  # one of them is a string
    assert explanation().to_polars().schema["id"] == polars.Int64
    assert frame.schema["start"] == polars.Int64
    assert Explanations().to_polars().schema == explanation().to_polars().schema


def test_the_columns_are_those_of_csv():
    from autorel_jax.report.output import csv_columns

    assert exchange.columns_of("token") == csv_columns("token")


def test_an_unknown_level_and_a_missing_library_are_one_line(monkeypatch):
    assert "Unknown level 'letter'" in refusal(explanation().to_pandas, "letter")
    monkeypatch.setitem(sys.modules, "polars", None)
    said = refusal(explanation().to_polars)
    assert said.startswith("This needs polars (")
    assert said.endswith("pip install 'autorel-jax[frames]'.")


def test_to_dict_of_a_list():
    assert both().to_dict() == [explanation().to_dict(), PAIR.to_dict()]


# Spans.


def test_spans_are_of_the_text():
    spans = explanation().to_spans()
    assert [(SHORT[span["start"] : span["end"]], span["label"], span["score"]) for span in spans] == [
        ("not", "against positive", 0.5),
        ("gorgeous,", "for positive", 1.0),
        ("witty", "for positive", pytest.approx(1 / 3)),
    ]
    assert [span["relevance"] for span in spans] == [-0.75, 1.5, 0.5]
    assert both().to_spans() == [spans, PAIR.to_spans()]
    assert [span["end"] for span in PAIR.to_spans()] == [4, 9]  # of the first text alone
    assert explanation(scores=(np.nan,)).to_spans() == []


def test_argilla_takes_spans_as_suggestions():
    record = explanation(["ice cream", "is"], (0, 1, -1, 0)).to_argilla()
    assert record["fields"] == {"text": "ice cream is"}
    (suggestion,) = record["suggestions"]
    assert (suggestion["question_name"], suggestion["agent"]) == ("relevance", "tiny")
    assert {tuple(value) for value in suggestion["value"]} == {("start", "end", "label", "score")}
    assert [record["id"] for record in both().to_argilla()] == ["1: positive", f"{PAIR.id}: {PAIR.target}"]
    places = [dataclasses.replace(PAIR, span=(start, start + 4)).to_argilla()["id"] for start in (0, 5)]
    assert len({*places}) == 2  # two entities of one kind
    assert PAIR.to_argilla()["fields"]["text_pair"] == PAIR.text_pair


# SHAP.


@pytest.mark.parametrize("level", ["word", "token"])
@pytest.mark.parametrize("made", [explanation(), PAIR, explanation("  two\n spaces "), explanation("")])
def test_pieces_joined_are_the_text(made, level):
    units = exchange.view.units(made, level)
    texts = "".join(exchange.pieces_of(made, units)).replace("[CLS]", "").replace("[SEP]", "")
    assert texts.split() == f"{made.text} {made.text_pair or ''}".split()


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")  # of SHAP and what it imports
def test_shap_draws_them(plt):
    shap = pytest.importorskip("shap")
    one = explanation().to_shap()
    assert one.base_values + one.values.sum() == pytest.approx(1.5)
    np.testing.assert_allclose(one.values, explanation().word_relevance)
    assert "gorgeous" in shap.plots.text(one, display=False)
    shap.plots.bar(one, show=False)
    texts = [explanation("good film", (0, 1, 2, 0), id=1), explanation("film is good", (0, 4, 0, 3, 0), id=2)]
    for second in (texts[1], explanation("film good", (0, 4, 3, 0), id=2)):  # also where lengths agree
        rows = Explanations([texts[0], second]).to_shap()
        assert list(rows.instance_names) == ["1: positive", "2: positive"]
        mean = rows.mean(0)
        found = dict(zip(map(str, mean.feature_names), mean.values, strict=True))
        assert (found["good"], found["film"]) == (2.0, 3.0)
        shap.plots.bar(mean, show=False)
        assert "film" in shap.plots.text(rows, display=False)


# Plots.


def names(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


@pytest.mark.filterwarnings("ignore:Glyph")  # the font has no sign for an escape character
def test_bars_of_a_text(plt):
    ax = explanation("costs $5 and $10 \x1b", (0, -1, 2, 0.5, 1e-9, 0.25, 0)).plot()
    assert names(ax.yaxis) == ["$5", "and", "␛", "costs"]
    assert [bar.get_width() for bar in ax.patches] == [2.0, 0.5, 0.25, -1.0]
    assert [text.get_text() for text in ax.texts] == ["+2.000", "+0.500", "+0.250", "-1.000"]
    assert ax.get_title() == "positive 98.8 %"
    assert ax.yaxis_inverted()
    assert not any(label.get_parse_math() for label in ax.get_yticklabels())
    ax.figure.savefig(io.BytesIO())
    assert len(explanation().plot(top=2).patches) == 2


def test_bars_of_several_methods_say_which(plt):
    made = [explanation(id=number, method=name) for name in ("attnlrp", "gamma") for number in (1, 2)]
    first, second = Explanations(made).plot()
    assert [ax.get_title() for ax in (first, second)] == ["attnlrp, positive: 2 texts", "gamma, positive: 2 texts"]


def test_bars_of_texts_are_mean_shares_of_each_target(plt):
    made = [
        explanation("good film", (0.5, 2.0, 1.0, -0.5), id=1),
        explanation("bad film", (0.0, -4.0, 2.0, 2.0), id=2),
        explanation("film", (0, 1, 0), id=3, target="negative"),
    ]
    first, second = Explanations(made).plot()
    assert [ax.get_title() for ax in (first, second)] == ["attnlrp, positive: 2 texts", "attnlrp, negative: 1 text"]
    assert dict(zip(names(first.yaxis), [bar.get_width() for bar in first.patches], strict=True)) == {
        "good": 0.5,
        "film": 0.25,
        "bad": -0.5,
    }
    assert Explanations(made[:1]).plot().get_title() == "positive 98.8 %"  # one is shown as such


@pytest.mark.parametrize(("kind", "shape"), [("layers", (3, 7)), ("attention", (2, 7)), ("heads", (2, 4, 7))])
def test_heat_maps_show_the_read_out(plt, kind, shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    values[-1] *= 100
    made = explanation("a bit of a mess", readouts={kind: values})
    ax = made.plot(kind)
    (image,) = ax.images
    expected = values.sum(-1) if kind == "heads" else values
    np.testing.assert_array_equal(image.get_array(), expected)
    assert -image.norm.vmin == image.norm.vmax == np.abs(expected if kind == "heads" else expected[:-1]).max()
    assert names(ax.xaxis) == (["1", "2", "3", "4"] if kind == "heads" else list(made.tokens))
    assert names(ax.yaxis) == (["embeddings", "1", "2"] if kind == "layers" else ["1", "2"])


def test_it_draws_into_given_axes(plt):
    _, ax = plt.subplots()
    assert explanation().plot(ax=ax) is ax
    assert len(plt.get_fignums()) == 1


def test_what_cannot_be_plotted_is_one_line(plt):
    assert "Unknown kind 'word'; accepted: words, layers, attention, heads." in refusal(explanation().plot, "word")
    assert refusal(explanation().plot, "heads") == "kind='heads' needs a read-out: explain with readouts=('heads',)."
    assert "is of one explanation" in refusal(both().plot, "heads")
    assert "is of one explanation" in refusal(both().plot, level="token")
    assert "no explanations" in refusal(Explanations().plot)
    assert "There are 2 pictures, one for each target and method, and room for 1" in refusal(
        both().plot, ax=plt.subplots()[1]
    )
    assert "top=0" in refusal(explanation().plot, top=0)


@pytest.mark.parametrize("scores", [(np.nan,), (0.0,)])
def test_scores_without_a_scale_are_plotted_empty(plt, scores):
    made = explanation("a b", scores, readouts={"layers": np.full((2, 4), scores[0], np.float32)})
    assert len(made.plot().patches) == 0
    made.plot("layers").figure.savefig(io.BytesIO())
    assert len(Explanations([made, made]).plot().patches) == 0
