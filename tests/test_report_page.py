"""report/page and `autorel report`: what is packed comes back, text stays text, and bad input is one line."""

import base64
import csv
import hashlib
import html.parser
import json
import re
from pathlib import Path

import numpy as np
import pytest
from explanations import explanation
from models import refusal
from test_word_statistics import collected, three

import autorel_jax as ar
from autorel_jax.cli.main import main
from autorel_jax.evaluation import words
from autorel_jax.evaluation.collection import Collection
from autorel_jax.report.output import open_writer
from autorel_jax.report.page import pack, save

NASTY = "</script><script>alert(1)</script><!-- \"quoted\" & 'single' \x1b[31m \ud800 \u202ereversed \u2028"


class Parsed(html.parser.HTMLParser):
    """The elements of a page, with their attributes and, of scripts and styles, their content."""

    def __init__(self, document):
        super().__init__()
        self.tags, self.held, self.inside = [], {}, None
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = (tag, dict(attrs).get("id")) if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        self.held[self.inside] = self.held.get(self.inside, "") + data


def written(tmp_path, *made, **options):
    path = tmp_path / "report.html"
    ar.save_report(made, path, **options)
    return path.read_text(encoding="utf-8")


def data_of(document):
    return json.loads(Parsed(document).held["script", "data"])


def unpacked(packed):
    types = {"u8": "<u1", "u16": "<u2", "u32": "<u4", "f32": "<f4"}
    return np.frombuffer(base64.b64decode(packed["data"]), types[packed["type"]])


@pytest.mark.parametrize(("values", "name"), [([0, 255], "u8"), ([256], "u16"), ([2**16], "u32"), ([], "u8")])
def test_whole_numbers_take_the_least_room(values, name):
    packed = pack.integers(values)
    assert packed["type"] == name
    assert unpacked(packed).tolist() == values


def test_scores_are_packed_exactly(tmp_path):
    made = explanation(scores=(0.1, -1e-30, 3e30, np.nan, 1 / 3, 0.0, -0.0))
    (series,) = data_of(written(tmp_path, made))["series"]
    np.testing.assert_array_equal(unpacked(series["scores"]), made.word_relevance)
    np.testing.assert_array_equal(unpacked(series["tokenScores"]), made.token_relevance)


def test_spans_count_as_javascript_does(tmp_path):
    """A character beyond U+FFFF is two units there."""
    units = data_of(written(tmp_path, explanation("🎬 is b🎬d .")))["words"]
    spans = list(zip(unpacked(units["starts"]).tolist(), unpacked(units["ends"]).tolist(), strict=True))
    assert spans == [(1, 0), (0, 2), (3, 5), (6, 10), (11, 12), (1, 0)]
    assert units["odd"] == {"0": "[CLS]", "5": "[SEP]"}


def test_the_words_of_the_table_are_those_of_python(tmp_path):
    collection = three()
    data = data_of(save.page(collection, "word", collection.name_labels(True)))
    names = words.keys(collection)
    _, begins = words.ngrams(collection, names, 1)
    (series,) = collection.series.values()
    summary = words.summary(words.occurrences(collection, series, begins, 1), len(names.names))
    assert data["keys"] == ["good", "film", "bad"]
    (table,) = data["tables"]
    assert unpacked(table["texts"]).tolist() == [2, 2, 1]
    np.testing.assert_allclose(unpacked(table["mean"]), summary.mean, rtol=1e-6)
    assert table["all"] == [3, 3]
    assert unpacked(table["labelled"]).tolist() == [2, 2, 1]


def test_association_is_there_only_for_labels(tmp_path):
    collection = collected(explanation(target="margin"), labels=["positive"])
    assert "association" not in data_of(save.page(collection, "word", collection.name_labels(True)))["tables"][0]


def test_nothing_of_the_data_is_markup(tmp_path):
    made = explanation(NASTY, pair=NASTY, id=NASTY, target=NASTY, model=NASTY, method=NASTY, warnings=(NASTY,),
                       parameters={NASTY: NASTY})  # fmt: skip
    document = written(tmp_path, made.to_dict() | {NASTY: NASTY})
    tags = [tag for tag, _ in Parsed(document).tags]
    assert tags == [
        "html",
        "head",
        "meta",
        "meta",
        "meta",
        "title",
        "style",
        "body",
        "noscript",
        "p",
        "script",
        "script",
    ]
    assert "<!--" not in document
    data = data_of(document)
    assert data["texts"]["text"] == data["texts"]["pair"] == data["texts"]["id"] == [NASTY]
    assert data["texts"]["kept"] == {NASTY: [NASTY]}
    assert "\x1b" not in document


def test_the_policy_allows_this_script_and_style_alone(tmp_path):
    parsed = Parsed(written(tmp_path, explanation()))
    (policy,) = (attributes["content"] for _, attributes in parsed.tags if "http-equiv" in attributes)

    def sha(content):
        return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

    script, style = sha(parsed.held["script", None]), sha(parsed.held["style", None])
    assert policy == (
        f"default-src 'none'; style-src {style}; script-src {script}; base-uri 'none'; form-action 'none'"
    )


def test_the_page_names_no_address(tmp_path):
    document = written(tmp_path, explanation())
    assert set(re.findall(r"https?://[^\"' ]*", document)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert "url(" not in document


def test_files_are_named_where_there_are_several(tmp_path):
    first, second = (explanation(id=number).to_dict() | {"file": f"{number}.csv"} for number in (1, 2))
    assert data_of(written(tmp_path, first))["texts"]["file"] is None
    assert data_of(written(tmp_path, first, second))["texts"]["file"] == ["1.csv", "2.csv"]


def test_a_page_without_results(tmp_path):
    assert data_of(written(tmp_path))["texts"]["id"] == []


def test_a_page_that_no_browser_opens_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(save, "LARGEST", 1000)
    said = refusal(written, tmp_path, explanation(), explanation(id=2), explanation(id=3))
    assert "make a page of over 0 MB, which a browser cannot open. Explain into a .parquet file" in said
    assert not (tmp_path / "report.html").exists()
    with open_writer(tmp_path / "a.html", "word") as write:
        said = refusal(lambda: [write(explanation(id=number)) for number in range(9)])
    assert "texts make a page of over 0 MB" in said


def test_an_unknown_level_is_refused(tmp_path):
    assert refusal(written, tmp_path, level="page") == "Unknown level 'page'; accepted: word, token."


def test_a_missing_label_column_is_refused(tmp_path):
    said = refusal(written, tmp_path, explanation(), label_column="stars")
    assert said == ("the results: the results have no column 'stars'; explain again with --keep-columns stars.")


# The command.


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "scores.jsonl"
    made = [explanation(id=number, text_pair=None) for number in range(1, 4)]
    lines = [json.dumps(one.to_dict() | {"label": label}) for one, label in zip(made, (1, 0, 1), strict=True)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(capsys, *arguments):
    code = main(["report", *map(str, arguments)])
    return code, capsys.readouterr().err


@pytest.mark.filterwarnings("default:Labels in the data:UserWarning")
def test_report_of_results(results, capsys):
    code, said = run(capsys, results)
    page = results.with_suffix(".html")
    notes = [
        "Labels in the data that are no prediction or target of these results: 0.",
        "Labels that are numbers are read as ids of the model: 1 is 'positive'.",
    ]
    said = said.splitlines()
    assert (code, said[:2]) == (0, [f"autorel report: warning: {note}" for note in notes])
    assert said[2:] == [f"autorel report: wrote {page}; open it in a browser"]
    data = data_of(page.read_text(encoding="utf-8"))
    assert data["texts"]["label"]["names"] == ["positive", "0"]
    assert unpacked(data["texts"]["label"]["of"]).tolist() == [1, 2, 1]
    assert data["notes"] == notes
    assert data["texts"]["kept"] == {}  # the label is shown as such


def test_report_of_some_texts(results, capsys):
    assert run(capsys, results, "--rows", "2:3", "--where", "label=1")[0] == 0
    data = data_of(results.with_suffix(".html").read_text(encoding="utf-8"))
    assert data["texts"]["id"] == [3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--output", "a.pdf"), "--output a.pdf: a report is a .html file; give a name that ends so."),
        (("--rows", "3"), "'3' is no stretch of rows; expected A:B, such as 1:20000"),
        (("--rows", "5:6"), "No text passes --rows and --where; give others."),
        (("--where", "label"), "'label' is no condition; expected NAME=VALUE"),
        (("--where", "stars=1"), "--where stars: the results have no such column; they have schema, version,"),
        (("--label-column", "text"), "None of the labels in the data ('not a gorgeous, witty movie.') is a label of"),
        (("--level", "page"), "invalid choice: 'page'"),
    ],
)
def test_the_command_refuses_in_one_line(results, capsys, arguments, said):
    code, error = run(capsys, results, *arguments)
    assert code == 2
    assert said in error
    assert error.count("\n") == 1
    assert not results.with_suffix(".html").exists()


def test_a_label_that_no_text_was_predicted_as(tmp_path):
    """Results list the model's labels, so that it has a name; older results do not."""
    labels = ("negative", "neutral", "positive")
    logits = {"logits": np.array([-1.0, 0.5, 1.5], np.float32), "probabilities": np.array([0.1, 0.2, 0.7])}
    made = [explanation(id=number, labels=labels, **logits).to_dict() | {"label": number} for number in range(3)]
    with pytest.warns(ar.InputWarning, match="read as ids of the model: 0 is 'negative', 1 is 'neutral', 2 is"):
        ar.save_report(made, tmp_path / "a.html")
    data = data_of((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert data["texts"]["label"]["names"] == ["negative", "neutral", "positive"]
    older = [one | {"model": {name: one["model"][name] for name in ("name", "weights_sha256")}} for one in made]
    with pytest.warns(ar.InputWarning, match="no prediction or target of these results: 0, 1"):
        ar.save_report(older, tmp_path / "b.html")
    ar.save_report([made[0], older[1]], tmp_path / "c.html", label_column="id")  # both are of one model


def test_labels_beside_results_without_logits(tmp_path):
    """Without logits and probabilities a model that may give several labels looks as one that gives one."""
    whole = explanation().to_dict() | {"label": "positive"}
    for lost in ("logits", "probabilities"):
        record = {name: value for name, value in whole.items() if name != lost}
        said = refusal(ar.save_report, [record], tmp_path / "a.html", label_column="label")
        assert said.startswith("The results lack logits or probabilities, so it is not known whether a text may")
        with pytest.warns(ar.InputWarning, match="no prediction is known to be right: labels are left out"):
            ar.save_report([record], tmp_path / "a.html")
        data = data_of((tmp_path / "a.html").read_text(encoding="utf-8"))
        assert data["texts"]["label"]["names"] == []
        assert data["texts"]["kept"] == {"label": ["positive"]}
    unlabelled = {name: value for name, value in record.items() if name != "label"}
    ar.save_report([unlabelled], tmp_path / "a.html")  # without a word


def test_other_rules_under_the_same_name(tmp_path):
    """As of a composite's file that was edited between two runs."""
    first, second = (explanation(id=number, rules={"linear": rule}) for number, rule in enumerate(("plain", "gamma")))
    said = refusal(ar.save_report, [first, second], tmp_path / "a.html")
    assert "results of 'attnlrp' with other rules than before under the same name; make two reports" in said
    untold = first.to_dict() | {"id": 7, "method": {"name": "attnlrp", "parameters": first.parameters}}  # of a .parquet
    ar.save_report([first, untold, second.to_dict() | {"method": untold["method"]}], tmp_path / "a.html")


def test_rows_of_another_model_in_one_table(tmp_path):
    """Joined by Arrow, a table has the first one's model and labels."""
    labels, logits = (
        ("negative", "positive"),
        {"logits": np.array([1.5, -1.5]), "probabilities": np.array([0.95, 0.05])},
    )
    right, other = explanation(id=1, labels=labels), explanation(id=2, labels=labels, **logits)  # predicted: positive
    said = refusal(ar.save_report, [right, other], tmp_path / "a.html")
    assert "'positive' was predicted, but by the labels of the file it is 'negative'; these may be the results" in said


def test_labels_that_were_edited_in_some_places():
    """Renamed in the list and not in the predictions, or in some rows alone."""
    record = explanation(id=1, labels=("negative", "positive")).to_dict()
    renamed = record | {"model": record["model"] | {"labels": ["bad", "good"]}}
    said = refusal(Collection().add, renamed)
    assert "'positive' was predicted, but the labels of the model are bad, good; give both the same names." in said
    other = explanation(id=2, labels=("else", "positive")).to_dict()
    collection = Collection()
    collection.add(record)
    assert "labels of the model are else, positive, but before negative, positive" in refusal(collection.add, other)


def test_labels_that_share_a_name(tmp_path):
    """The name stands at the first place and was predicted at the second."""
    same = explanation(labels=("positive", "positive"))
    assert ar.save_report([same], tmp_path / "a.html") is None


def test_results_that_stand_in_two_files(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, twice = explanation(id=1).to_dict(), explanation(id=2).to_dict()
    files = {
        "whole": [one, twice, twice],  # as in the data
        "shard": [one],
        "bfloat16": [one | {"target_value": 1.25}],
        "occlusion": [one | {"method": one["method"] | {"name": "occlusion"}}],
        "negative": [one | {"target": "negative"}],
        "another": [one | {"label": "negative"}],  # as a second person labelled it
        "more": [one | {"id": 3}],
    }
    for name, records in files.items():
        Path(f"{name}.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    for name in ("shard", "bfloat16", "whole"):
        code, said = run(capsys, "whole.jsonl", f"{name}.jsonl")
        assert (code, said.count("\n")) == (2, 1)
        assert f"whole.jsonl and {name}.jsonl both hold text '1' explained for 'positive' by the same model and" in said
    for name in ("occlusion", "negative", "another", "more"):
        assert run(capsys, "shard.jsonl", f"{name}.jsonl")[0] == 0
    assert run(capsys, "whole.jsonl")[0] == 0
    assert data_of(Path("whole.html").read_text(encoding="utf-8"))["texts"]["id"] == [1, 2, 2]


def test_a_corpus_becomes_a_report(tmp_path, capsys):
    """With the built-in model: the label in the model's words, the columns that pass through, every target."""
    with open(tmp_path / "in.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "stars", "url"), ("a good film", "1", "u1"), ("dull", "1", "u2")])
    page = tmp_path / "out.html"
    flags = ("--label-column", "stars", "--keep-columns", "url", "--target", "all", "--output", page)
    assert main(["explain", str(tmp_path / "in.csv"), *map(str, flags)]) == 0
    data = data_of(page.read_text(encoding="utf-8"))
    assert [series["target"] for series in data["series"]] == ["negative", "positive"]
    assert data["texts"]["label"]["names"] == ["positive"]
    assert data["texts"]["prediction"]["names"] == ["positive", "negative"]
    assert data["texts"]["kept"] == {"url": ["u1", "u2"]}


@pytest.mark.parametrize("name", ["text", "words", "file", "target_logit"])
def test_a_column_that_would_replace_a_field_is_refused(tmp_path, capsys, name):
    (tmp_path / "in.csv").write_text(f"review,{name}\na film,x\n", encoding="utf-8")
    page = tmp_path / "out.html"
    flags = ["--text-column", "review", "--keep-columns", name, "--output", str(page)]
    assert main(["explain", str(tmp_path / "in.csv"), *flags]) == 2
    said = capsys.readouterr().err
    assert f"--keep-columns {name}: the output has a field of this name already; rename the column." in said
    assert not page.exists()
