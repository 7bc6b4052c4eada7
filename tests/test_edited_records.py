"""Records that were edited and hashed anew: read and compared, or refused in one line, whatever was edited."""

import contextlib
import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models import write_model

import autorel_jax as ar
from autorel_jax.auditing.record_differences import against, differences
from autorel_jax.auditing.record_facts import asked_config, environment
from autorel_jax.auditing.record_file import read_record, save_record, seal
from autorel_jax.auditing.verify import changes_of_place, method_of, rows_of, verdict
from autorel_jax.cli.main import main
from autorel_jax.errors import InputError

GONE = object()
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**70, 10**400, 1.5, 1e308, float("nan"), float("inf")]),
    st.sampled_from(["", "x", "\0", "a" * 3000, "positive", "given", "gamma", "\ud800"]),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)
NESTED = json.loads("[" * 200 + "]" * 200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edited")
    write_model(folder / "model")
    (folder / "texts.csv").write_text("text,stars\na good film,positive\nbad,negative\n")
    model = ("--model", str(folder / "model"), "--quiet")
    for name, more in (("plain", ()), ("hashed", ("--hash-texts",))):
        output = str(folder / f"{name}.json")
        assert main(["record", str(folder / "texts.csv"), "--label-column", "stars", "-o", output, *model, *more]) == 0
    return folder


@pytest.fixture(scope="module")
def records(folder):
    return [read_record(folder / f"{name}.json") for name in ("plain", "hashed")]


def places(value, path=()):
    """The way to every part of a value of JSON."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in parts:
        yield from places(one, (*path, name))


def edited(record, path, value):
    """A copy with another value at a place, or without it, hashed anew."""
    made = copy.deepcopy(record)
    part = made
    for name in path[:-1]:
        part = part[name]
    if value is GONE:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return made | {"sha256": seal(made)}


def write(path, record):
    """As a program would that knows nothing of records."""
    path.write_text(json.dumps(record))


def refusal(folder, record):
    write(folder / "edited.json", record)
    with pytest.raises(InputError) as raised:
        read_record(folder / "edited.json")
    return str(raised.value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_was_edited_is_read_or_refused(folder, records, classifier, data):
    record = records[data.draw(st.integers(0, 1))]
    path = data.draw(st.sampled_from([path for path in places(record) if path]))
    write(folder / "edited.json", edited(record, path, data.draw(VALUES | st.just(GONE) | st.just(NESTED))))
    with contextlib.suppress(InputError):  # which is one line
        made = read_record(folder / "edited.json")
        for pair in ((record, made), (made, record)):
            assert verdict(differences(*pair), pair[0])
        if not made["salt"]:
            assert len(rows_of(made, None)) == len(made["texts"])
        list(changes_of_place(made["environment"], environment("auto")))
        ar.Explainer(classifier, asked_config(made["question"]["asked"], method_of(made)))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("texts", 1, "results", 0, "logits"), "0.1", "texts[1].results[0].logits is not what a record holds there"),
        (("texts", 0, "results", 0, "scores", 1), True, "texts[0].results[0].scores[1] is"),
        (("texts", 0, "results", 0, "scores", 1), 10**400, "texts[0].results[0].scores[1] is"),
        (("texts", 0, "results", 0, "scores", 1), float("nan"), "NaN is not a JSON number"),
        (("texts", 0, "results", 0, "words"), ["a"], "texts[0].results[0].words is"),
        (("texts", 0, "results", 0, "ledger"), GONE, "texts[0].results[0].ledger is"),
        (("texts", 0, "text"), [1], "texts[0].text[0] is"),
        (("model", "labels"), [[]], "model.labels[0] is"),
        (("model", "dtype"), "float16", "model.dtype is"),
        (("question", "asked", "split_words"), GONE, "question.asked.split_words is"),
        (("environment",), NESTED, "is damaged or was edited"),
        (("question", "asked", "method"), "gamma", "question.asked.method is"),
        (("question", "asked", "method"), GONE, "question.asked.method is"),
        (("approved_by",), "me", "approved_by is"),
        (("model", "note"), "x", "model.note is"),
        (("texts", 0, "note"), "x", "texts[0].note is"),
        (("texts", 0, "results", 0, "note"), "x", "texts[0].results[0].note is"),
        (("texts", 0, "text"), "a bad film", "texts[0].sha256 is"),
        (("texts", 0, "sha256"), "0" * 64, "texts[0].sha256 is"),
        (("summary", "texts"), 7, "summary.texts is"),
        (("summary", "not_finite"), -3, "summary.not_finite is"),
        (("summary", "predictions"), {"positive": 2, "x": 1}, "summary.predictions is"),
        (("left_out",), -5, "left_out is"),
    ],
)
def test_the_line_names_the_place(folder, records, path, value, said):
    assert said in refusal(folder, edited(records[0], path, value))


def test_the_command_refuses_them_with_2(folder, records, capsys):
    """What is of the right type and means nothing is found when the texts are explained again."""
    for path, value, said in (
        (("texts", 0, "results", 0, "target"), 3, "target is not what a record holds there"),
        (("question", "asked", "target"), "nowhere", "nowhere"),
        (("question", "asked", "prefetch"), "2", "prefetch, which this version does not know"),
        (("question", "asked", "top"), [1], "top=[1]: expected a whole number"),
        (("question", "asked", "parameters"), {"gamma": {}}, "gamma"),
        (("model", "name"), "no\0where", "no such directory"),
    ):
        write(folder / "edited.json", edited(records[0], path, value))
        capsys.readouterr()
        assert main(["verify", str(folder / "edited.json"), "--quiet"]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert said in err


def test_what_was_edited_differs(folder, records, capsys):
    """From the model, and from the record as it was."""
    result = ("texts", 0, "results", 0)
    for path, value, said in (
        ((*result, "words"), ["[CLS]", "a", "BAD", "film", "[SEP]"], "its list of words was"),
        ((*result, "span_text"), "x", "its text of the place was 'x'"),
        ((*result, "probability"), 0.999999, "the probability was 0.999999"),
        ((*result, "probability"), None, "the probability was not finite"),
        (("model", "config", "type_vocab_size"), 2.0, "config: type_vocab_size was 2.0, now 2"),
        (("model", "config", "dense_bias"), 0, "config: dense_bias was 0, now False"),
    ):
        write(folder / "edited.json", edited(records[0], path, value))
        for other in ("--model", folder / "model"), ("--against", folder / "plain.json"):
            capsys.readouterr()
            assert main(["verify", *map(str, (folder / "edited.json", *other)), "--quiet"]) == 1
            assert said in capsys.readouterr().out
    whole = [edited(records[0], ("model", "config", "hidden_dropout_prob"), value) for value in (0, 0.0)]
    assert differences(*whole).is_exact  # of a field of floats


def test_a_row_that_was_edited_differs(folder, records, capsys):
    """From the texts where their columns are named, and from another record: ids only if the texts are in its order."""
    texts = (str(folder / "texts.csv"), "--label-column", "stars", "--model", str(folder / "model"), "--quiet")
    for name, value, said in (("label", "neutral", "'neutral', now 'positive'"), ("id", "x", "'x', now 'positive'")):
        made = edited(records[0], ("texts", 0, name), value)
        write(folder / "edited.json", made)
        capsys.readouterr()
        flags = ("--id-column", "stars") if name == "id" else ()
        assert main(["verify", str(folder / "edited.json"), *texts, *flags]) == 1
        line = f"text 1 ('a good film'): its {name} was {said}"
        assert capsys.readouterr().out.startswith(line)
        assert against(made, records[0]).texts[0].startswith(line.partition(", now")[0])
        moved = made | {"texts": made["texts"][::-1]}
        assert bool(against(moved, records[0])) == (name == "label")


def test_labels_that_mean_the_same_are_the_same(records):
    """A name, its id and the class of a data set; a text without a label differs from one with any."""
    labels = ("positive", "id:2", 2, "2.0", ["positive", "id:0"], "id:1", "", None)
    made = [edited(records[0], ("texts", 0, "label"), label) for label in labels]
    found = [differences(records[0], one, ("label",)).texts for one in made]
    assert [len(lines) for lines in found] == [0, 0, 0, 0, 0, 1, 1, 1]
    assert found[5] == ["text 1 ('a good film'): its label was 'positive', now 'neutral'"]


def test_a_record_without_labels_compares_none(folder, records, capsys):
    made = records[0] | {"texts": [entry | {"label": None} for entry in records[0]["texts"]]}
    write(folder / "edited.json", made | {"sha256": seal(made)})
    texts = (str(folder / "edited.json"), str(folder / "texts.csv"), "--model", str(folder / "model"))
    capsys.readouterr()
    assert main(["verify", *texts, "--label-column", "stars"]) == 0
    assert "the record was made without labels, so that none are compared" in capsys.readouterr().err


def test_columns_that_hashes_keep_nothing_of_are_refused(folder, capsys):
    texts = (str(folder / "hashed.json"), str(folder / "texts.csv"), "--model", str(folder / "model"), "--quiet")
    for flag in ("--label-column", "--id-column"):
        capsys.readouterr()
        assert main(["verify", *texts, flag, "stars"]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert f"{flag}: a record with hashes in place of texts keeps neither labels nor ids" in err


def test_rows_of_a_file_that_are_left_out_are_counted(folder, records, capsys):
    (folder / "more.jsonl").write_text('{"text": "a good film"}\n{"text": "bad"}\n{"text": null}\n')
    for left_out, code in ((1, 0), (0, 1)):
        write(folder / "edited.json", edited(records[0], ("left_out",), left_out))
        capsys.readouterr()
        files = (folder / "edited.json", folder / "more.jsonl", "--model", folder / "model")
        assert main(["verify", *map(str, files)]) == code
        out, err = capsys.readouterr()
        assert out.startswith("rows left out: they were 0, now 1\n" if code else "equal, bit for bit: 2 texts")
        assert "rows left out of the texts now: 1" in err


def test_rows_that_an_output_left_out_are_left_out_again(folder, capsys):
    """A record beside an output has no text that could not be explained; one more is a difference."""
    texts, flags = folder / "some.csv", ("--label-column", "stars", "--model", folder / "model")
    texts.write_text("text,stars\na good film,positive\nbad,nothing\n")
    outputs = ("--output", folder / "some.jsonl", "--record", folder / "some.json")
    assert main([*map(str, ("explain", texts, "--target", "given", *flags, *outputs, "--quiet"))]) == 0
    for more, code in (("", 0), ("witty,nothing\n", 1)):
        texts.write_text(f"{texts.read_text()}{more}")
        capsys.readouterr()
        assert main([*map(str, ("verify", folder / "some.json", texts, *flags))]) == code
        out, err = capsys.readouterr()
        assert "rows left out of the texts now: 1" in err
        assert out.startswith("text 2 ('witty') is not among" if code else "equal, bit for bit: 1 text")


def test_of_texts_that_are_there_twice_the_most_like_are_compared(records):
    twice = records[0] | {"texts": [entry | {"label": label} for entry in records[0]["texts"][:1] for label in "ab"]}
    assert not differences(twice, twice | {"texts": twice["texts"][::-1]}, ("label",)).texts


def test_what_was_asked_and_left_out_differs_between_records(records):
    for path, value, said in (
        (("left_out",), 3, "rows left out: they were 0, now 3"),
        (("question", "asked", "max_length"), 5, "asked: max_length was None, now 5"),
        (("question", "asked", "method"), "gamma", "asked: method was 'attnlrp', now 'gamma'"),
        (("question", "asked", "top"), 2, "question: top was 1, now 2"),
        (("question", "asked", "top"), True, "question: top was 1, now True"),
    ):
        assert against(records[0], edited(records[0], path, value)).facts == [said]
    longest = records[0]["question"]["max_length"]
    assert not against(records[0], edited(records[0], ("question", "asked", "max_length"), longest))


def test_a_record_is_read_as_it_was_written(folder, records):
    save_record(records[0], folder / "again.json")
    assert read_record(folder / "again.json") == records[0]
    assert (folder / "again.json").read_bytes() == (folder / "plain.json").read_bytes()
