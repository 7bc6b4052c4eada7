"""Shortcuts: units of a text, what may be a shortcut, how it is deleted and inserted, and `autorel shortcuts`."""

import json
import math

import numpy as np
import pytest
from models import VOCAB
from sign_model import LOGIT, write_sign_model

import autorel_jax as ar
from autorel_jax.auditing.candidates import Found, Text, candidates, held, templates
from autorel_jax.auditing.forms import (
    BEGINS,
    ENDS,
    NEXT,
    PAIR,
    WORD,
    Candidate,
    alone,
    inserted,
    pieces_of,
    places,
    to_delete,
    without,
)
from autorel_jax.auditing.kinds import kinds
from autorel_jax.auditing.reading import Case, Changed
from autorel_jax.auditing.terminal import of_shortcuts
from autorel_jax.auditing.trials import Trials, beyond_twice, faults, log_odds
from autorel_jax.auditing.units import units_of, without_shares
from autorel_jax.cli.main import main
from autorel_jax.data.row import Row
from autorel_jax.evaluation.words import Z
from autorel_jax.text.tokens import load_tokenizer

TOKENIZER = load_tokenizer(VOCAB)
NUMBERS = [f"{a}{b}" for a in "0123456789" for b in "0123456789"]  # each of one text


def units(*texts):
    (tokens,) = TOKENIZER(texts[:1], texts[1:] or None, max_length=64)
    return without_shares(texts, tokens)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("(Paul) - do n't", ["(", "paul", ")", "-", "do", "n't"]),
        ("Good film!!! .", ["good", "film", "!!!", "."]),
        ('He said: "no."', ["he", "said", ":", '"', "no", ".", '"']),
        ("@bob #ad # 5%", ["@bob", "#ad", "#", "5", "%"]),
        ("don't", ["don't"]),
        ("a\n b", ["a", "b"]),
    ],
)
def test_the_units_of_a_text(text, keys):
    assert list(units(text).keys) == keys


def test_the_shares_of_units(classifier):
    """They are sums over tokens, and add up to what the words have; special tokens have none."""
    texts = ("A good film, (very) funny!", "the street.")
    (tokens,) = classifier.tokens([texts[0]], [texts[1]])
    (explanation,) = ar.explain(classifier, [texts[0]], [texts[1]], target="positive")
    found = units_of(Case(Row(1, *texts, None), texts, tokens, explanation))
    scores = [score for score, span in zip(explanation.word_relevance, explanation.word_spans, strict=True) if span]
    split = ar.explain(classifier, [texts[0]], [texts[1]], target="positive", split_punctuation=True)[0]
    parts = [score for score, span in zip(split.word_relevance, split.word_spans, strict=True) if span]
    assert found.segments == (0,) * 9 + (1,) * 3
    assert found.shares == pytest.approx(np.array(parts) / np.abs(parts).sum(), abs=1e-6)
    assert found.shares.sum() * np.abs(parts).sum() == pytest.approx(sum(scores), abs=1e-5)


TEXT = "the good film, the good end."  # 8 units: 0 the 1 good 2 film 3 , 4 the 5 good 6 end 7 .


@pytest.mark.parametrize(
    ("form", "words", "there", "rest"),
    [
        (WORD, ("good",), [(1,), (5,)], "the film, the end."),
        (WORD, (".",), [(7,)], "the good film, the good end"),
        (NEXT, ("good", "film"), [(1, 2)], "the, the good end."),
        (PAIR, ("film", "end"), [(2, 6)], "the good, the good."),
        (PAIR, ("end", "film"), [], None),
        (PAIR, ("the", "good"), [(0, 1), (4, 5)], "film, end."),
        (BEGINS, ("the", "good"), [(0, 1)], "film, the good end."),
        (ENDS, ("end", "."), [(6, 7)], "the good film, the good"),
        (WORD, ("goo",), [], None),
    ],
)
def test_where_a_candidate_is_and_the_text_without_it(form, words, there, rest):
    candidate, found = Candidate(form, words), units(TEXT)
    assert places(candidate, found) == there
    if rest is not None:
        assert without((TEXT,), found, to_delete(candidate, found)) == (rest,)


def test_nothing_goes_from_a_text_into_its_pair():
    texts = ("the good", "film the good")
    found = units(*texts)
    assert places(Candidate(NEXT, ("good", "film")), found) == []
    assert places(Candidate(PAIR, ("good", "film")), found) == []
    assert places(Candidate(BEGINS, ("film", "the")), found) == [(2, 3)]
    assert without(texts, found, {1, 3}) == ("the", "film good")


@pytest.mark.parametrize(
    ("source", "candidate", "made"),
    [
        ("good film", Candidate(WORD, ("good",)), "good a very long street."),
        ("the film.", Candidate(WORD, (".",)), "a very long street.."),  # as it was: without a space
        ("the film .", Candidate(WORD, (".",)), "a very long street. ."),
        ("a film the end", Candidate(WORD, ("the",)), "a very long the street."),
        ("one a b two", Candidate(PAIR, ("one", "two")), "one a very long street. two"),
        ("a one b c two d", Candidate(PAIR, ("one", "two")), "a one very long street two."),
        ("x one two y", Candidate(NEXT, ("one", "two")), "a very one two long street."),
        ("in the end, yes", Candidate(BEGINS, ("in", "the")), "in the a very long street."),
    ],
)
def test_a_text_with_a_candidate(source, candidate, made):
    """At the like place: the first, the last, or as far along."""
    target, found = "a very long street.", units(source)
    pieces = pieces_of(places(candidate, found)[0], (source,), found)
    assert inserted((target,), units(target), pieces) == (made,)


@pytest.mark.parametrize(
    ("source", "candidate", "made"),
    [
        ("one two x", Candidate(NEXT, ("one", "two")), ["one a very long street.", "a two very long street."]),
        ("x one two", Candidate(NEXT, ("one", "two")), ["a very long street one.", "a very long street. two"]),
        ("one a two", Candidate(PAIR, ("one", "two")), ["one a very long street.", "a very long street. two"]),
        ("one a two b c d", Candidate(PAIR, ("one", "two")), ["one a very long street.", "a very two long street."]),
        ("one two", Candidate(BEGINS, ("one", "two")), ["one a very long street.", "a two very long street."]),
    ],
)
def test_each_word_is_inserted_alone_where_it_would_stand(source, candidate, made):
    """As far from the nearer end as it would be with the other."""
    target, found = "a very long street.", units(source)
    (place,) = places(candidate, found)
    pieces = [alone(word, place, (source,), found) for word in range(2)]
    assert [inserted((target,), units(target), [piece])[0] for piece in pieces] == made


def test_more_than_half_is_of_the_whole():
    """What speaks against the label counts as 0, and texts that one of the parts lacks do not count."""
    gain = {1: 3.0, 2: 3.0, 3: 3.0}
    assert beyond_twice(gain, {1: 1.0, 2: 2.0}, {1: -1.0, 2: 0.5, 3: 1.0}) == [1.0, -2.0]


def with_low(low):
    return {"mean": low + 1, "low": low, "high": low + 2}


@pytest.mark.parametrize(
    ("words", "said"), [(1.0, []), (0.0, ["half or more of"]), (None, ["there are too few texts"])]
)
def test_several_words_are_listed_for_what_they_do_together(words, said):
    insertion = {"beyond_random_words": with_low(1.0)}
    insertion["beyond_twice_its_words"] = {"low": None} if words is None else with_low(words)
    found = faults({"change": with_low(1.0)}, insertion)
    assert [one.startswith(start) for one, start in zip(found, said, strict=True)] == [True] * len(said)


def test_candidates_that_cannot_be_tested_are_counted_apart():
    insertion = {name: {"low": None} for name in ("beyond_random_words", "beyond_twice_its_words")}
    few = faults({"change": with_low(1.0)}, insertion)
    assert few == ["there are too few texts to test it"]
    record = {"model": {"name": "m"}, "accuracy": 1.0, "special_tokens": {}, "other_texts": None, "listed": []}
    record["texts"] = dict.fromkeys(("rows", "texts", "left_out", "same_as_an_earlier_row", "cut_off"), 0)
    record["not_listed"] = [{"why_not": few}, {"why_not": few}, {"why_not": ["it does nothing"]}]
    *_, line = of_shortcuts(record, 20)
    assert line == "nothing is listed; 1 candidates were tested; 2 more could not be, for lack of texts"


class Predicted(Changed):
    """What a function of a text's words says of the second label's log odds."""

    def __init__(self, odds):
        self.odds = odds

    def tokens(self, rows, texts):
        return TOKENIZER([text for (text,) in texts], max_length=64)

    def logits(self, tokens):
        words = ([word for word, span in zip(one.words, one.word_spans, strict=True) if span] for one in tokens)
        return np.array([[0.0, self.odds(some)] for some in words])


def at_place(place):
    """Whether a text has a garden there decides."""
    return lambda words: 4.0 if words[place:][:1] == ["garden"] else -4.0


def in_order(words):
    """A garden and after it a river decide."""
    there = [word for word in words if word in ("garden", "river")]
    return 4.0 if there == ["garden", "river"] else -4.0


FIRST, SECOND, LAST = "garden river {}", "river garden {}", "{} river garden"


@pytest.mark.parametrize(
    ("odds", "form", "text", "together"),
    [
        (at_place(0), NEXT, FIRST, False),
        (at_place(0), BEGINS, FIRST, False),
        (at_place(0), PAIR, "garden {} river", False),
        (at_place(1), NEXT, SECOND, False),
        (at_place(1), BEGINS, SECOND, False),
        (at_place(-1), NEXT, LAST, False),
        (at_place(-1), ENDS, LAST, False),
        (at_place(-1), PAIR, "river {} garden", False),
        (at_place(-2), NEXT, "{} garden river", False),
        (at_place(-2), ENDS, "{} garden river", False),
        (in_order, NEXT, FIRST, True),
        (in_order, PAIR, "garden {} river", True),
        (in_order, ENDS, "{} garden river", True),
    ],
)
def test_a_word_that_decides_by_its_place_is_no_pair(odds, form, text, together):
    """Though in the other order the words do nothing; two of which each needs the other are one."""
    fillers = [f"the {word} of {other}" for word in ("film", "story") for other in NUMBERS[:10]]
    corpus = corpus_of([(text.format(filler), 1) for filler in fillers] + [(filler, 0) for filler in fillers])
    words = ("garden", "river") if text.index("garden") < text.index("river") else ("river", "garden")
    found = Found(Candidate(form, words), np.arange(20), 20, (1.0,) * 3, (1.0,) * 3, 20)
    others = [(Candidate(WORD, (word,)), np.arange(40)) for word in ("the", "of")]
    trial = Trials(corpus, Predicted(odds), others, tested=20, seed=0).trial(found, 1)
    assert trial.insertion["flips"]["mean"] == 1
    expected = [] if together else ["half or more of what it does may be of its words one by one"]
    assert trial.faults == expected


def test_inserting_into_the_pair():
    texts, source = ("a b", "c d"), ("x", "y good")
    found = units(*source)
    pieces = pieces_of((2,), source, found)
    assert inserted(texts, units(*texts), pieces) == ("a b", "c d good")


def corpus_of(rows):
    """Texts of one or two units, the relevance of each on its first."""
    found = []
    for number, (text, label) in enumerate(rows):
        made = units(text)
        found.append(Text(number, (text,), made._replace(shares=np.eye(len(made.keys))[0]), label, label))
    return found


def test_how_candidates_are_found():
    """By hand: "good" in 9 texts of label 1 and one of 10 others; it has all of their relevance."""
    corpus = corpus_of([("good street", 1)] * 9 + [("good street", 0)] + [("bad", 0)] * 9)
    first, second = candidates(corpus, held(corpus, 2, 5), 2, 20)
    assert [str(one.candidate) for one in first] == ["bad"]
    (good, *longer) = second
    assert (str(good.candidate), len(good.texts), good.of_label, good.predicted) == ("good", 10, 9, 9)
    odds, error = math.log(9.5 / 1.5) - math.log(0.5 / 9.5), math.sqrt(1 / 9.5 + 1 / 1.5 + 1 / 0.5 + 1 / 9.5)
    assert good.association == pytest.approx((odds, odds - Z * error, odds + Z * error))
    assert good.relevance[0] == 1
    assert {str(one.candidate) for one in longer} >= {"good street"}
    assert not any(str(one.candidate) == "good … street" for one in longer)  # they are in a row everywhere


def test_templates():
    corpus = corpus_of([(f"in the end {word} of the", 1) for word in "abcde"] + [("good", 0)] * 5)
    assert [str(one) for one in templates(corpus, BEGINS, 5)] == ["in the end …"]
    assert [str(one) for one in templates(corpus, ENDS, 5)] == ["… of the"]


@pytest.mark.parametrize(
    ("candidate", "names"),
    [
        (Candidate(WORD, (".",)), ["punctuation"]),
        (Candidate(WORD, ("good",)), []),
        (Candidate(WORD, ("3.5",)), ["number"]),
        (Candidate(WORD, ("https://a.b/c",)), ["url"]),
        (Candidate(WORD, ("0fa93c1d",)), ["hash"]),
        (Candidate(WORD, ("ab12",)), ["id"]),
        (Candidate(WORD, ("@bob",)), ["account"]),
        (Candidate(WORD, ("\u03b4\u03b6",)), ["unknown to the tokenizer"]),
        (Candidate(WORD, ("[SEP]",)), ["special token"]),
        (Candidate(WORD, ("paper",)), ["source"]),
        (Candidate(NEXT, ("good", "5")), ["number"]),
        (Candidate(BEGINS, ("in", "the")), ["template"]),
        (Candidate(WORD, ("in",)), ["template"]),
    ],
)
def test_what_a_candidate_is_called(candidate, names):
    corpus = [text._replace(source=frozenset({"the", "paper"})) for text in corpus_of([("in the end", 1)] * 5)]
    everywhere = np.arange(5)
    found = kinds(candidate, everywhere, corpus, [Candidate(BEGINS, ("in", "the"))], TOKENIZER)
    assert list(found) == names


def test_log_odds():
    logits = np.log(np.array([[0.2, 0.3, 0.5]]))
    assert log_odds(logits, 2) == pytest.approx([0])
    assert log_odds(logits, 0) == pytest.approx([math.log(0.2 / 0.8)])


def labelled():
    """Gardens are in positive texts alone, houses too; half of the negative ones say bad."""
    yield from ({"text": f"the house garden {number}", "label": "positive"} for number in NUMBERS[:20])
    yield from ({"text": f"a good street {number}", "label": "positive"} for number in NUMBERS[20:40])
    yield from ({"text": f"the bad street {number}", "label": "negative"} for number in NUMBERS[40:60])
    yield from ({"text": f"a street {number}", "label": "negative"} for number in NUMBERS[60:80])


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def find(folder, model, *flags, rows=None):
    """The exit code of the command, and its JSON where there is one."""
    texts = write(folder / "texts.jsonl", rows or labelled())
    output = folder / "found.json"
    code = main(["shortcuts", texts, "--label-column", "label", "--model", str(model), "-o", str(output), *flags])
    return code, json.loads(output.read_text()) if output.exists() else None


WEIGHTS = {"good": 1, "bad": -1}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model that follows gardens, and its twin that does not."""
    folder = tmp_path_factory.mktemp("models")
    followed = write_sign_model(folder / "followed", WEIGHTS | {"garden": 1})
    return followed, write_sign_model(folder / "twin", WEIGHTS)


def test_a_model_that_follows_a_word(models, tmp_path, capsys):
    """Each number by hand: a word that weighs 1 adds LOGIT to the log odds, or takes a text from -LOGIT to 0.

    At 0 the first label is predicted, so that of the negative texts those without a bad flip.
    """
    rows = [*labelled(), {"text": "the garden 99", "label": "negative"}, {"text": "a 98", "label": "blue"}]
    page = tmp_path / "found.html"
    code, record = find(tmp_path, models[0], "--report", str(page), rows=rows)
    assert code == 0
    texts = record["texts"]
    assert (texts["rows"], texts["texts"], texts["left_out"]) == (82, 81, 1)
    assert "Unknown label 'blue'" in texts["left_out_first"][0]["reason"]
    assert record["accuracy"] == pytest.approx(80 / 81)
    assert record["special_tokens"] == {"negative": 0, "positive": 0}
    assert {one["shown"] for one in record["listed"]} == {"garden", "good", "bad"}
    garden = next(one for one in record["listed"] if one["shown"] == "garden")
    assert (garden["label"], garden["texts"], garden["of_label"]) == ("positive", 21, 20)
    assert garden["relevance"]["mean"] == pytest.approx(1)
    assert garden["deletion"]["texts"] == 21
    assert garden["deletion"]["flips"]["mean"] == 1
    assert garden["deletion"]["change"]["mean"] == pytest.approx(LOGIT, abs=1e-5)
    insertion = garden["insertion"]
    assert insertion["texts"] == 40
    assert insertion["flips"]["mean"] == 0.5
    assert insertion["change"]["mean"] == pytest.approx(LOGIT, abs=1e-5)
    against = garden["counter_examples"]
    assert (against["texts"], against["predicted_as_the_label"]) == (1, 1)
    assert against["first"][0]["texts"] == ["the garden 99"]
    assert garden["examples"][0]["becomes"] == "negative"
    shown = capsys.readouterr().out
    assert "but garden is in 1 texts that are not positive\n  81: negative: “the garden 99”" in shown
    assert "the garden 99" in page.read_text()


def test_its_twin_does_not_have_it(models, tmp_path):
    """Though it goes with the label as much; the reason is said where it was tested."""
    _, record = find(tmp_path, models[1])
    assert {one["shown"] for one in record["listed"]} == {"good", "bad"}


def test_what_goes_with_the_label_elsewhere_is_left_out(models, tmp_path):
    """A word of meaning does in another corpus too; a shortcut does not, or is not in it at all."""
    others = write(
        tmp_path / "others.jsonl",
        [row for row in labelled() if "garden" not in row["text"]] + [{"text": "a"}],
    )
    _, record = find(tmp_path, models[0], "--other-texts", others)
    assert record["other_texts"] == {"texts": 60, "left_out": 1}
    assert [one["shown"] for one in record["listed"]] == ["garden"]
    assert record["listed"][0]["other_texts"]["texts"] == 0
    reasons = {one["shown"]: one["why_not"] for one in record["not_listed"]}
    assert reasons["good"] == reasons["bad"] == ["it goes with the label in the other texts too"]


def test_the_same_seed_finds_the_same(models, tmp_path):
    flags = ((), ("--batch-size", "7"), ("--limit", "40", "--tested", "9"))
    first, again, less = (find(tmp_path, models[0], *some)[1] for some in flags)
    assert json.dumps(rounded(first)) == json.dumps(rounded(again))
    assert less["texts"]["texts"] == 40
    assert all(one["insertion"]["texts"] <= 9 for one in less["listed"])


def rounded(value):
    """Numbers of other batches differ in the last digits."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def test_why_nothing_can_be_tested(models, tmp_path, capsys):
    """Words that are in enough texts and go with no label are not too rare."""
    few = list(labelled())[10:60:20]
    assert find(tmp_path, models[0], rows=few) == (2, None)
    assert "No word stands in 5 texts or more; give more texts, or a smaller --least" in capsys.readouterr().err
    no_label = [
        {"text": f"the street {number}", "label": label}
        for number in NUMBERS[:9]
        for label in ar.load(models[0]).config.labels
    ]
    assert find(tmp_path, models[0], rows=no_label) == (2, None)
    assert (
        "Of the words and phrases in 5 texts or more (4) none is certain to go with a label" in capsys.readouterr().err
    )


def test_what_the_command_refuses(models, tmp_path, capsys):
    texts = write(tmp_path / "texts.jsonl", labelled())
    many = write_sign_model(tmp_path / "many", WEIGHTS, problem_type="multi_label_classification")
    for arguments, said in (
        ([texts], "--label-column is missing"),
        ([texts, "--label-column", "nothing"], "nothing"),
        ([texts, "--label-column", "text"], "None of the rows has a label of the model. The first: "),
        ([texts, "--label-column", "label", "--least", "0"], "least=0"),
        ([texts, "--label-column", "label", "--shown", "0"], "--shown 0"),
        ([texts, "--label-column", "label", "--target", "positive"], "--target"),
        ([texts, "--label-column", "label", "--keep-columns", "text"], "--keep-columns has no meaning here"),
        ([texts, "--label-column", "label", "--output", "a.csv"], "it is a .json file"),
        ([texts, "--label-column", "label", "--model", str(many)], "a probability of its own"),
    ):
        assert main(["shortcuts", *([] if "--model" in arguments else ["--model", str(models[0])]), *arguments]) == 2
        assert said in capsys.readouterr().err
