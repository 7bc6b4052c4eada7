"""Rerankers: passages by their score, and why one is before another."""

import warnings

import numpy as np
import pytest
from explanations import explanation
from models import refusal, write_model
from tolerances import SAME_TEXT, SUM_FLOAT32

import autorel_jax as ar
from autorel_jax.cli.rank import main
from autorel_jax.errors import InputWarning
from autorel_jax.evaluation.collection import Collection
from autorel_jax.report import html, view

QUERY = "the good film"
PASSAGES = ["a witty film.", "bad one", "the good film"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "reranker", labels=("LABEL_0",))
    write_model(folder / "nli", labels=("contradiction", "neutral", "entailment"))
    return folder


@pytest.fixture(scope="module")
def reranker(folder):
    return ar.load(folder / "reranker")


@pytest.fixture(scope="module")
def ranked(reranker):
    return ar.rank(reranker, QUERY, PASSAGES)


def test_the_highest_score_is_first(reranker, ranked):
    scores = reranker.logits(reranker.batch([QUERY] * 3, PASSAGES))[:, 0]
    assert [one.id for one in ranked] == (1 + np.argsort(-scores)).tolist()
    np.testing.assert_allclose([one.target_value for one in ranked], np.sort(scores)[::-1], rtol=0, atol=SAME_TEXT * 10)
    assert [one.text_pair for one in ranked] == [PASSAGES[one.id - 1] for one in ranked]


def test_each_explanation_is_that_of_the_pair(reranker, ranked):
    for one in ranked:
        (alone,) = ar.explain(reranker, QUERY, one.text_pair)
        np.testing.assert_allclose(one.token_relevance, alone.token_relevance, rtol=0, atol=SAME_TEXT * 10)


def test_parts_add_up_to_the_difference_of_scores(ranked):
    found = ar.versus(ranked[0], ranked[1])
    assert found.margin == ranked[0].target_value - ranked[1].target_value > 0
    assert sum(found.parts.values()) == pytest.approx(found.margin, abs=SUM_FLOAT32)
    explained = ranked[0].explained - ranked[1].explained
    assert found.margin - found.parts["the rest"] == pytest.approx(explained, abs=SUM_FLOAT32)


def test_each_word_of_the_query_by_hand(ranked):
    a, b = ranked[:2]
    words = ar.versus(a, b).query
    assert [word.word for word in words] == QUERY.split()
    for word, mine in zip(words, (1, 2, 3), strict=True):  # behind [CLS]
        assert (word.a, word.b) == (a.word_relevance[mine], b.word_relevance[mine])
        assert word.difference == word.a - word.b
    text = repr(ar.versus(a, b))
    assert "higher than B" in text
    assert "word of the query" in text
    assert "lower than B" in repr(ar.versus(b, a))
    assert "<pre>" in ar.versus(a, b)._repr_html_()


def test_a_query_that_was_cut_beside_one_passage(reranker):
    """What was not read counts 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        a, b = ar.explain(reranker, ["good film one"] * 2, ["bad", "film " * 9], max_length=8)
    words = {word.word: word for word in ar.versus(a, b).query}
    assert words["one"].b == 0 != words["one"].a


def test_what_is_refused(folder, reranker, ranked):
    nli = ar.load(folder / "nli")
    assert "give target='LABEL'" in refusal(ar.rank, nli, QUERY, PASSAGES)
    for target in ("margin", "log_probability:predicted"):
        assert "give target='LABEL'" in refusal(ar.rank, nli, QUERY, PASSAGES, target=target)
    assert "exclude each other" in refusal(ar.rank, nli, QUERY, PASSAGES, target="neutral", contrast=("a", "b"))
    both = ar.rank(nli, QUERY, PASSAGES, contrast=("entailment", "neutral"))
    logits = nli.logits(nli.batch([QUERY] * 3, PASSAGES))
    assert [one.id for one in both] == (1 + np.argsort(logits[:, 1] - logits[:, 2])).tolist()
    by_label = ar.rank(nli, QUERY, PASSAGES, target="entailment")
    assert [one.target for one in by_label] == ["entailment"] * 3
    assert by_label[0].target_value >= by_label[1].target_value >= by_label[2].target_value
    assert "long='windows' does not go with ranking" in refusal(ar.rank, reranker, QUERY, PASSAGES, long="windows")
    assert "no passages" in refusal(ar.rank, reranker, QUERY, [])
    assert "expected a list" in refusal(ar.rank, reranker, QUERY, "one passage")
    assert "different queries" in refusal(ar.versus, ranked[0], ar.rank(reranker, "good", PASSAGES)[0])
    assert "different methods" in refusal(ar.versus, ranked[0], ar.rank(reranker, QUERY, ["bad"], method="cp_lrp")[0])
    assert "no pairs" in refusal(ar.versus, *[ar.explain(reranker, "good")[0]] * 2)


def test_signs_of_a_score(ranked):
    probable = explanation(pair="a pair", logits=np.array([1.5], np.float32))
    assert view.decision(probable) == ("score", "= 1.500, 98.8 %")
    assert view.decision(ranked[0]) == ("score", f"= {ranked[0].target_value:.3f}")
    assert view.sides(ranked[0]) == ("more relevant", "less relevant")
    assert "more relevant" in html.fragment(ranked[:1])


def test_the_command(folder, tmp_path, capsys):
    output = tmp_path / "ranked.jsonl"
    assert main([QUERY, *PASSAGES, "--model", str(folder / "reranker"), "--output", str(output)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in out[:3]] == [f"{record['id']}:" for record in ar.read_results(output)]
    assert out[4].startswith("A  ")
    assert out[5].startswith("B  ")
    (tmp_path / "p.csv").write_text("text\nbad one\na witty film.\n")
    arguments = [
        QUERY,
        str(tmp_path / "p.csv"),
        "--model",
        str(folder / "reranker"),
        "--compare",
        "2",
        "1",
        "--top",
        "1",
    ]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "… and 1 more" in out
    assert "lower than B" in out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--compare", "1", "9", "--model", "no/model"], "there are 3 passages"),  # before the model is read
        (["--compare", "1", "1"], "expected two places"),
        (["--top", "0"], "expected a whole number"),
        (["--pair-column", "x"], "for autorel explain"),
        (["--output", "x.docx", "--model", "no/model"], "x.docx: cannot write .docx; accepted: "),
        (["--long", "windows", "--model", "no/model"], "long='windows' does not go with ranking, which reads pairs"),
        (["--target", "nonsense"], "Unknown label"),
    ],
)
def test_what_the_command_refuses(folder, capsys, flags, said):
    assert main([QUERY, *PASSAGES, "--model", str(folder / "reranker"), *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_file_is_no_query(tmp_path, capsys):
    (tmp_path / "queries.txt").write_text("good\n")
    assert main([str(tmp_path / "queries.txt"), *PASSAGES, "--model", "no/model"]) == 2
    assert "is a file; QUERY is one text" in capsys.readouterr().err


def test_files_and_pages_know_scores_from_labels(folder, ranked):
    """A page and a notebook say "more relevant" where the terminal does; a label in words is no score."""
    labels = ar.explain(ar.load(folder / "nli"), PASSAGES[0], zero_shot=["film"])
    for made, expected in ((ranked, True), (labels, False)):
        collection = Collection()
        for one in made:
            collection.add(one.to_dict())
        assert [series.is_score for series in collection.series.values()] == [expected]
        assert ("speaks for" in html.fragment(made)) is not expected
        assert ("less relevant" in html.fragment(made)) is expected


def test_one_output_has_no_given_label(folder, reranker):
    """0 and 1 would be explained by the same logit."""
    write_model(folder / "sigmoid", labels=("toxic",), problem_type="multi_label_classification")
    sigmoid = ar.load(folder / "sigmoid")
    for target in (0, "0", 1, "log_probability:0"):
        said = refusal(ar.explain, sigmoid, "a film", target=target)
        assert "has one output, and 0 and 1 are its two classes. Its logit speaks for 1, and with the other" in said
    (named,) = ar.explain(sigmoid, "a film", target="id:0")
    assert (named.target, named.target_value) == ("toxic", named.logits[0])
    for model in (reranker, sigmoid):
        for target in ("given", "log_probability:given"):
            said = refusal(ar.explain, model, ["a film"], labels=[0], target=target)
            assert said.startswith(f"target={target!r} needs a model of several labels; ")
            assert said.endswith(
                "has one output, whose logit is explained whatever a text's label is: use target='predicted'."
            )
