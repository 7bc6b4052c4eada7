"""Models with outputs at tokens, through the library: entities, words that are named, answers."""

import dataclasses
import json
import re
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
from masked_models import write_masked
from models import refusal, write_model
from test_similarity import embedder
from token_models import CONTEXT, LABELS, QUESTION, TEXT, write_answerer, write_tagger
from tolerances import LEDGER_FLOAT32, SAME_TEXT, SUM_FLOAT32

import autorel_jax as ar
from autorel_jax.attribution import questions
from autorel_jax.cli.explain import main
from autorel_jax.data.row import Row
from autorel_jax.errors import InputWarning
from autorel_jax.evaluation.collection import Collection
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.explaining.explainer import Explainer


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "classifier")
    return {
        "tagger": write_tagger(folder / "tagger"),
        "answerer": write_answerer(folder / "answerer"),
        "doubter": write_answerer(folder / "doubter", none=5.0),
        "classifier": folder / "classifier",
    }


@pytest.fixture(scope="module")
def tagger(folders):
    return ar.load(folders["tagger"])


@pytest.fixture(scope="module")
def answerer(folders):
    return ar.load(folders["answerer"])


@pytest.fixture(scope="module")
def entities(tagger):
    return ar.explain(tagger, TEXT, audit=True)


def size(ledger):
    """Σ|items|."""
    items = sum(np.abs(item).sum() for item in ledger.absorbed.values())
    return items + abs(ledger.words) + abs(ledger.special_tokens) + abs(ledger.positions) + abs(ledger.segments)


def places(explanation, word):
    return [place for place, w in enumerate(explanation.token_words) if explanation.words[w].startswith(word)]


def test_load_says_what_it_found(folders, tagger, answerer):
    assert (tagger.config.task, tagger.config.labels) == ("token_classification", LABELS)
    assert (answerer.config.task, answerer.config.labels) == ("question_answering", ("start", "end"))
    for name, architecture in (("tagger", "BertForTokenClassification"), ("answerer", "BertForQuestionAnswering")):
        assert json.loads((folders[name] / "config.json").read_text())["architectures"] == [architecture]
    assert "pooler" not in tagger.params


def test_one_explanation_for_each_entity(entities):
    found = [(e.target, e.span_text, e.span, e.span_segment, e.prediction.label) for e in entities]
    assert found == [("LOC", "good film", (4, 13), 0, "LOC"), ("PER", "witty", (17, 22), 0, "PER")]


def test_an_entitys_value_is_the_mean_over_its_tokens(entities):
    """The model was fitted to logits of 3 for the predicted labels and -1 for others."""
    for entity in entities:
        np.testing.assert_allclose(entity.target_value, 3, rtol=0, atol=1e-4)
        np.testing.assert_allclose(entity.prediction.logit, 3, rtol=0, atol=1e-4)
        likely = np.exp(3) / (np.exp(3) + 4 * np.exp(-1))
        np.testing.assert_allclose(entity.prediction.probability, likely, rtol=0, atol=1e-4)
    first = dict(zip(LABELS, entities[0].logits, strict=True))
    np.testing.assert_allclose([first["B-LOC"], first["I-LOC"], first["O"]], [1, 1, -1], rtol=0, atol=1e-4)


def test_the_ledger_of_an_entity_is_closed(entities):
    for entity in entities:
        assert abs(entity.ledger.rounding) <= LEDGER_FLOAT32 * size(entity.ledger)
        assert entity.explained == pytest.approx(entity.word_relevance.sum(), abs=SUM_FLOAT32)


def test_the_relevance_of_an_entity_is_the_gradients_times_input(tagger):
    """By hand from one vjp: cotangent 1/n at each token's own label."""
    for entity in ar.explain(tagger, TEXT, method="gradient_x_input"):
        batch = tagger.batch([TEXT])
        x = tagger.embeddings("gradient_x_input", batch)
        logits, vjp = jax.vjp(tagger.logits_of("gradient_x_input", batch), x)
        chosen = np.asarray(logits).reshape(-1, len(LABELS)).argmax(-1)
        mine = [place for word in entity.span_text.split() for place in places(entity, word)]
        mine = [place for place in mine if entity.tokens[place] not in ",."]
        seed = np.zeros((len(chosen), len(LABELS)), np.float32)
        # logits_of takes relevance: R = logit * weight
        seed[mine, chosen[mine]] = np.asarray(logits).reshape(seed.shape)[mine, chosen[mine]] / len(mine)
        (by_hand,) = vjp(seed.reshape(1, -1))
        np.testing.assert_allclose(entity.token_relevance, by_hand[0].sum(-1), rtol=0, atol=1e-5)


def test_entities_in_a_batch_are_those_of_a_text_alone(tagger, entities):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # of a text without an entity
        together = ar.explain(tagger, ["a good one", TEXT, "the film"])
    assert [e.id for e in together] == sorted(e.id for e in together)
    again = [e for e in together if e.id == 2]
    for alone, other in zip(entities, again, strict=True):
        assert (alone.target, alone.span) == (other.target, other.span)
        np.testing.assert_allclose(alone.token_relevance, other.token_relevance, rtol=0, atol=SAME_TEXT * 10)


@pytest.mark.slow
def test_more_entities_than_are_computed_at_once(tagger, entities, monkeypatch):
    monkeypatch.setattr("autorel_jax.explaining.on_tokens.MOST", 1)
    for one, other in zip(entities, ar.explain(tagger, TEXT, audit=True), strict=True):
        assert one.target == other.target
        np.testing.assert_allclose(one.token_relevance, other.token_relevance, rtol=0, atol=SAME_TEXT)


def test_how_often_the_model_runs(tagger):
    """One pass forward to find entities, one program with one more and a backward for each."""
    explainer = Explainer(tagger, ExplainConfig())
    calls = {"logits": 0, "scores": 0}
    computer = explainer.computer
    forward, compute = computer.logits, computer.compute
    computer.logits = lambda *args: calls.__setitem__("logits", calls["logits"] + 1) or forward(*args)
    computer.compute = lambda *args, **more: calls.__setitem__("scores", calls["scores"] + 1) or compute(*args, **more)
    rows = [Row(1, TEXT, None, None)]
    assert len(list(explainer.explain(rows))) == 2
    assert calls == {"logits": 1, "scores": 1}


def test_counts_are_padded_by_little():
    assert [questions.padded_count(n) for n in (1, 5, 7, 9, 32)] == [1, 5, 8, 12, 32]


def test_a_label_at_a_word(tagger):
    every = ar.explain(tagger, TEXT, at="witty", target="all")
    assert [e.target for e in every] == list(LABELS)
    assert {e.span_text for e in every} == {"witty"}
    values = [e.target_value for e in every]
    np.testing.assert_allclose(values, every[0].logits, rtol=0, atol=1e-6)
    (contrast,) = ar.explain(tagger, TEXT, at="witty", contrast=("I-PER", "O"))
    assert contrast.target == "I-PER - O"
    assert contrast.target_value == pytest.approx(values[4] - values[0], abs=1e-5)
    expected = every[4].token_relevance - every[0].token_relevance
    np.testing.assert_allclose(contrast.token_relevance, expected, rtol=0, atol=1e-5)
    (given,) = ar.explain(tagger, TEXT, at="witty", target="given", labels=["O"])
    assert given.target == "O"


def test_words_by_name_by_number_and_a_token(tagger):
    (by_name,) = ar.explain(tagger, TEXT, at="good film")
    assert by_name.span == (4, 13)
    (by_number,) = ar.explain(tagger, TEXT, at="word:2")
    assert (by_number.span_text, by_number.target) == ("good", "B-LOC")
    (token,) = ar.explain(tagger, TEXT, at="token:1", target="O")
    assert (token.span_text, token.tokens[1]) == ("the", "the")
    (special,) = ar.explain(tagger, TEXT, at="word:0")
    assert (special.span, special.span_text) == (None, None)


def test_what_is_refused_of_a_tagger(tagger, folders):
    said = refusal(ar.explain, tagger, TEXT, target="B-LOC")
    assert "needs a word whose label is explained" in said
    assert "is not in what is read" in refusal(ar.explain, tagger, TEXT, at="wit")
    assert "2 times; give one of word:1, word:2" in refusal(ar.explain, tagger, "good good", at="good")
    assert "the text has the words 0 to 3" in refusal(ar.explain, tagger, "good good", at="word:9")
    assert refusal(ar.explain, tagger, "good", "bad").startswith("Text 1: It is a pair of texts")
    assert "margin" in refusal(ar.explain, tagger, TEXT, target="margin", at="good")
    assert "log_probability" in refusal(ar.explain, tagger, TEXT, target="log_probability:O", at="good")
    assert "null_answer is for question answering" in refusal(ar.explain, tagger, TEXT, null_answer=True)
    for method in ("raw_attention", "rollout", "lat", "generic_attention"):
        assert "is not defined for a model with outputs at tokens" in refusal(ar.explain, tagger, TEXT, method=method)
    assert "labels whole texts" in refusal(ar.explain, ar.load(folders["classifier"]), TEXT, at="good")
    assert "expected words of the text" in refusal(ar.explain, tagger, TEXT, at=3)


def test_texts_without_an_entity(tagger):
    """They are not lost without a word."""
    config = ExplainConfig()
    labels = ("O", "B-O", "I-O", "O-O", "o-O")  # every label is one of no entity
    silent = dataclasses.replace(tagger, config=dataclasses.replace(tagger.config, labels=labels))
    with pytest.warns(InputWarning, match=r"Text 1 has no explanation: no entity was found .*\(and 1 more of 2\)"):
        assert ar.explain(silent, [TEXT, TEXT]) == []
    row = Row(7, TEXT, None, None)
    (found,) = Explainer(silent, config).explain_each([row], lambda done: None)
    assert str(found).startswith("no entity was found in it;")
    (found,) = Explainer(silent, ExplainConfig(max_length=6)).explain_each([row], lambda done: None)
    assert str(found).startswith("no entity was found in it, of which 8 word pieces were not read;")


@pytest.mark.parametrize("method", ["cp_lrp", "bert_lrp", "gradient_x_input"])
def test_composites_of_entities(tagger, method):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # bert_lrp has no read-outs
        first, second = ar.explain(tagger, TEXT, method=method, readouts=() if method == "bert_lrp" else ("layers",))
    assert np.isfinite(first.token_relevance).all()
    assert not np.allclose(first.token_relevance, second.token_relevance)
    if method != "bert_lrp":  # the topmost layer holds relevance at the entity's tokens alone
        assert first.readouts["layers"].shape == (3, len(first.tokens))
        top = np.abs(first.readouts["layers"][-1]) > 0
        assert np.flatnonzero(top).tolist() == [
            place for word in ("good", "film") for place in places(first, word) if first.tokens[place] != ","
        ]


def test_occlusion_of_an_entity(tagger):
    """By hand: the drop of its mean logit where a token is masked."""
    (first, _) = ar.explain(tagger, TEXT, method="occlusion")
    tokens = tagger.tokens([TEXT])[0]
    batch = tagger.batch([TEXT])
    plain = tagger.logits(batch).reshape(-1, len(LABELS))
    mine, chosen = [2, 3], plain.argmax(-1)
    assert [tokens.pieces[place] for place in mine] == ["good", "film"]
    for place in (1, 2):
        ids = batch.ids.copy()
        ids[0, place] = tagger.tokenizer.mask_id
        other = tagger.logits(type(batch)(ids, batch.mask, batch.types)).reshape(-1, len(LABELS))
        drop = (plain - other)[mine, chosen[mine]].mean()
        np.testing.assert_allclose(first.token_relevance[place], drop, rtol=0, atol=1e-5)


def test_the_best_answer(answerer):
    (answer,) = ar.explain(answerer, QUESTION, CONTEXT, audit=True)
    assert (answer.span_text, answer.span, answer.span_segment) == ("witty film", (2, 12), 1)
    assert (answer.target, answer.prediction.label) == ("start + end", "witty film")
    np.testing.assert_allclose([answer.target_value, *answer.logits], [6, 3, 3], rtol=0, atol=1e-3)
    assert answer.probabilities is None
    assert abs(answer.ledger.rounding) <= LEDGER_FLOAT32 * size(answer.ledger)
    others = sum(segment == 1 and span is not None for segment, span in _tokens(answer))
    one = np.exp(3) / (np.exp(3) + (others - 1) * np.exp(-2) + np.exp(-2))  # context and [CLS]
    np.testing.assert_allclose(answer.prediction.probability, one**2, rtol=1e-3)


def _tokens(answer):
    segments = np.array(answer.word_segments)[np.array(answer.token_words)]
    return list(zip(segments, answer.token_spans, strict=True))


def test_no_answer(folders):
    doubter = ar.load(folders["doubter"])
    (forced,) = ar.explain(doubter, QUESTION, CONTEXT)
    assert forced.prediction.label == "witty film"
    (none,) = ar.explain(doubter, QUESTION, CONTEXT, null_answer=True)
    assert (none.prediction.label, none.span, none.span_text) == ("no answer", None, None)
    np.testing.assert_allclose(none.target_value, 10, rtol=0, atol=1e-3)
    assert none.prediction.probability > 0.5


def test_an_answer_that_is_named_and_its_ends(answerer):
    (named,) = ar.explain(answerer, QUESTION, CONTEXT, at="film")
    assert (named.span_text, named.prediction.label) == ("film", "witty film")
    np.testing.assert_allclose(named.target_value, 1, rtol=0, atol=1e-3)  # start -2, end 3
    start, end = ar.explain(answerer, QUESTION, CONTEXT, target="all")
    assert (start.target, end.target) == ("start", "end")
    (both,) = ar.explain(answerer, QUESTION, CONTEXT)
    np.testing.assert_allclose(both.token_relevance, start.token_relevance + end.token_relevance, rtol=0, atol=1e-5)


def test_a_long_context_in_windows(answerer):
    context = f"{'a one. ' * 12}{CONTEXT}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (answer,) = ar.explain(answerer, QUESTION, context, long="windows", max_length=24)
    assert len(answer.tokens) <= 24
    assert answer.truncated_tokens == 0
    start, end = answer.span
    assert context[start:end] == answer.span_text == answer.prediction.label
    assert "windows; answer and scores are of number" in answer.warnings[0]
    (named,) = ar.explain(answerer, QUESTION, context, long="windows", max_length=24, at="witty film")
    assert context[slice(*named.span)] == "witty film"


def test_words_are_named_in_the_whole_context(answerer):
    """Whether it is read in windows or not; and no window's edge cuts what was named."""
    context, long = "good one. " * 4 + CONTEXT, {"long": "windows", "max_length": 12}
    said = [refusal(ar.explain, answerer, QUESTION, context, at="good", **options) for options in ({}, long)]
    assert said[0] == said[1]
    assert "is in the text 4 times; give one of word:4, word:6, word:8, word:10." in said[0]
    tokens = ar.explain(answerer, QUESTION, context, at="word:8")[0].tokens
    for options in ({}, long):
        for number in (0, 1, tokens.index("[SEP]"), len(tokens) - 1):  # special tokens and the question's
            said = refusal(ar.explain, answerer, QUESTION, context, at=f"token:{number}", **options)
            assert f"at='token:{number}' is not of the context" in said
        (first,) = ar.explain(answerer, QUESTION, context, at=f"token:{tokens.index('[SEP]') + 1}", **options)
        assert first.span == (0, 4)
    (named,) = ar.explain(answerer, QUESTION, context, at="word:8", **long)
    assert named.span == (20, 24)
    (named,) = ar.explain(answerer, QUESTION, context, at="a witty", stride=1, **long)
    assert named.span_text == "a witty"
    said = refusal(ar.explain, answerer, QUESTION, context, at="a witty", stride=5, **long)
    assert "in no window as a whole; name fewer words, raise max_length or give a smaller stride" in said
    whole = ar.explain(answerer, QUESTION, context, at="one. a witty film")[0]
    assert whole.span == (35, 52)
    assert "is in no window as a whole" in refusal(
        ar.explain, answerer, QUESTION, context, at="one. good one. a witty film", **long
    )


def test_what_is_named_is_read_as_a_whole(tagger, answerer):
    assert "is read in part: the text was cut off within it at 6 tokens" in refusal(
        ar.explain, tagger, TEXT, at="good film, a witty", max_length=6
    )
    (named,) = ar.explain(tagger, TEXT, at="good film,", max_length=6)
    assert (named.span_text, named.truncated_tokens) == ("good film,", 8)
    assert "is not in what is read" in refusal(ar.explain, tagger, TEXT, at="one", max_length=6)
    said = refusal(ar.explain, tagger, "good film, a good one", at="good", max_length=5)
    assert "2 times, 1 of them in what is not read; give one of word:1" in said
    assert "is read in part" in refusal(ar.explain, answerer, QUESTION, CONTEXT, at="witty film.", max_length=7)


def test_a_question_is_never_cut(answerer):
    question = "good good good good good"
    (answer,) = ar.explain(answerer, question, "a witty film. one good one.", max_length=10)
    assert answer.words[1:6] == ("good",) * 5
    assert answer.words[7:9] == ("a", "witty")
    said = refusal(ar.explain, answerer, question, CONTEXT, max_length=8)
    assert "the first text has 5 word pieces and 5 are read" in said
    assert "nothing is left of the second one" in said


def test_what_is_refused_of_an_answerer(answerer):
    assert refusal(ar.explain, answerer, QUESTION).startswith("Text 1: It is a question without a context")
    assert "an answer has the targets" in refusal(ar.explain, answerer, QUESTION, CONTEXT, target="given", labels=["x"])
    assert "leaves no room" in refusal(
        ar.explain, answerer, "good " * 30, CONTEXT + CONTEXT, long="windows", max_length=12
    )


def test_logits_of_tokens_follow_one_another(tagger):
    batch = tagger.batch([TEXT])
    flat = tagger.logits(batch)
    assert flat.shape == (1, batch.ids.shape[1] * len(LABELS))
    np.testing.assert_allclose(flat.reshape(-1, len(LABELS))[2, 1], 3, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_page_runs(folders, tmp_path, monkeypatch):
    """Each fence of Python of docs/tasks.md, with tiny models in place of those that it names."""
    write_model(folders["classifier"].parent / "reranker", labels=("LABEL_0",))
    write_model(folders["classifier"].parent / "nli", labels=("contradiction", "neutral", "entailment"))
    folder = folders["classifier"].parent
    embedder(folder / "embedder")
    tiny = {"ner-model": "tagger", "qa-model": "answerer", "nli-model": "nli", "sentence-model": "embedder"}
    write_masked(folder / "filler")
    tiny["masked-model"] = "filler"
    load = ar.load
    monkeypatch.setattr(ar, "load", lambda name: load(folder / tiny.get(name[4:], name[4:])), raising=False)
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[1] / "docs" / "tasks.md").read_text("utf-8")
    fences, names = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL), {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for fence in fences:
            exec(fence, names)
    assert len(fences) == 6
    assert (names["why"].target, names["why"].span_text) == ("B-LOC - B-PER", "New York")
    assert (names["she"].target, names["she"].span_text) == ("she - he", "[MASK]")
    assert names["other"].span_text == "Ann"
    assert (tmp_path / "ranked.html").is_file()


def test_what_else_refuses_them(folders, tagger, answerer, tmp_path):
    """Programs, evaluations and settings that are of labels of whole texts."""
    from autorel_jax.export.write import export

    assert "only models that label texts or tokens" in refusal(export, answerer, tmp_path / "x.zip")
    assert "evaluate measures" in refusal(ar.evaluate, tagger, [TEXT])
    assert "predict is for" in refusal(ar.predict, tagger, [[2, 3]])
    assert "problem_type=" in refusal(ar.load, folders["tagger"], problem_type="regression")
    assert "for question answering, without labels" in refusal(ar.load, folders["answerer"], labels=["a", "b"])
    from autorel_jax.data.task import TaskConfig
    from autorel_jax.training.pretrained import read_pretrained

    config = type("Config", (), {"rename": (), "drop": (), "model": str(folders["tagger"]), "model_config": None})
    config.revision = config.vocab = config.cased = config.truncation_side = None
    texts = TaskConfig(train="train.csv")
    assert "the task is labels of whole texts" in refusal(read_pretrained, config, texts)


def test_files_of_entities(folders, tmp_path, capsys):
    """Each entity is a row, with its words; a text without them is left out and listed."""
    (tmp_path / "in.csv").write_text(f'text\n"{TEXT}"\n"a good one"\n')
    source, model = str(tmp_path / "in.csv"), ["--model", str(folders["tagger"]), "--at", "film"]
    for suffix in (".parquet", ".npz", ".jsonl", ".csv"):
        assert main([source, *model, "--target", "all", "--output", str(tmp_path / f"out{suffix}")]) == 0
        rejected = (tmp_path / f"out{suffix}.rejected.jsonl").read_text().splitlines()
        assert [json.loads(line)["line"] for line in rejected] == [3]
    by_format = [list(ar.read_results(tmp_path / f"out{suffix}")) for suffix in (".parquet", ".jsonl")]
    for records in by_format:
        assert [record["target"] for record in records] == list(LABELS)
        assert {record["span_text"] for record in records} == {"film"}
        assert {tuple(record["span"]) for record in records} == {(9, 13)}
        assert {record["prediction"]["label"] for record in records} == {"I-LOC"}
    logits = [[record["prediction"]["logit"] for record in records] for records in by_format]
    assert logits[0] == logits[1]
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays["span"].tolist() == [[9, 13]] * len(LABELS)
    assert "span_text" in (tmp_path / "out.csv").read_text().splitlines()[0]
    capsys.readouterr()


def test_a_page_has_each_entity_as_an_entry(folders, tmp_path):
    (tmp_path / "in.csv").write_text(f'text\n"{TEXT}"\n')
    assert (
        main([str(tmp_path / "in.csv"), "--model", str(folders["tagger"]), "--output", str(tmp_path / "a.html")]) == 0
    )
    collection = Collection()
    for one in ar.explain(ar.load(folders["tagger"]), TEXT):
        collection.add(one.to_dict(), None)
    assert [(text.prediction, text.kept["span_text"]) for text in collection.texts] == [
        ("LOC", "good film"),
        ("PER", "witty"),
    ]
    assert collection.names == {}  # an entity is no label of a logit


def test_an_answer_names_no_label(folders):
    collection = Collection()
    for one in ar.explain(ar.load(folders["doubter"]), QUESTION, CONTEXT, null_answer=True):
        collection.add(one.to_dict(), None)
    assert ([text.prediction for text in collection.texts], collection.names) == (["no answer"], {})


def test_a_file_of_questions(folders, tmp_path):
    (tmp_path / "in.csv").write_text(f'question,context\n"{QUESTION}","{CONTEXT}"\n')
    columns = ["--text-column", "question", "--pair-column", "context"]
    output = tmp_path / "out.parquet"
    assert main([str(tmp_path / "in.csv"), *columns, "--model", str(folders["answerer"]), "--output", str(output)]) == 0
    (record,) = ar.read_results(output)
    assert (record["span_text"], record["span_segment"], record["probabilities"]) == ("witty film", 1, None)
    assert record["prediction"]["logit"] == pytest.approx(6, abs=1e-3)
