"""Faults from outside during a run: parts that vanish, models and inputs that change, rows that break something.

No row is lost without a word: rows read = explained + left out, and the bytes are those of a run without the fault.
"""

import json
import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from models import refusal, write_model
from sentences import lines

import autorel_jax as ar
from autorel_jax.classifier import load
from autorel_jax.cli.command import counted
from autorel_jax.cli.explain import main
from autorel_jax.corpus.job import explain_corpus
from autorel_jax.corpus.partial import Partial
from autorel_jax.data.by_products import partial_of, rejected_of
from autorel_jax.data.row import Columns
from autorel_jax.data.sources import open_corpus
from autorel_jax.data.tables import read_table
from autorel_jax.explaining import part
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.report.output import Jsonl
from autorel_jax.text.tokens import Tokenizer

ROWS, PART_ROWS, PARTS = 23, 4, 6


@pytest.fixture
def source(tmp_path):
    """A .jsonl file of 23 rows, two of which cannot be used."""
    rows = [json.dumps({"text": text, "n": n}) for n, text in enumerate(lines(ROWS))]
    rows[4], rows[21] = "{", '{"text": "", "n": 21}'
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def explainer(classifier):
    return Explainer(classifier, ar.ExplainConfig(batch_size=4))


def score(explainer, source, output, **options):
    corpus = open_corpus([str(source)], Columns(keep=("n",)))
    return explain_corpus(explainer, corpus, output, **{"part_rows": PART_ROWS, **options})


@pytest.fixture
def whole(explainer, source, tmp_path):
    """The bytes of a run without a fault, of the output and of its rejected rows."""
    output = tmp_path / "whole.jsonl"
    score(explainer, source, output)
    return output.read_bytes(), rejected_of(output).read_bytes()


def interrupt(explainer, source, output):
    """Leaves a run with two finished parts or more."""

    def progress(rows):
        if len(list(partial_of(output).glob("0*.json"))) >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(explainer, source, output, progress=progress)
    return sorted(path.name for path in partial_of(output).glob("0*.jsonl"))


def is_whole(output, whole):
    assert (output.read_bytes(), rejected_of(output).read_bytes()) == whole
    assert not partial_of(output).exists()


# Parts.


def damages(folder):
    """Ways in which parts are lost."""
    data, record = folder / "000000.jsonl", folder / "000000.json"
    content = data.read_bytes() if data.exists() else b""
    return {
        "data are gone": data.unlink,
        "record is gone": record.unlink,
        "both are gone": lambda: (data.unlink(), record.unlink()),
        "data are cut short": lambda: data.write_bytes(content[:-10]),
        "a byte has changed": lambda: data.write_bytes(content[:50] + b"#" + content[51:]),
        "data are empty": lambda: data.write_bytes(b""),
        "record is empty": lambda: record.write_text(""),
        "record is cut short": lambda: record.write_text(record.read_text()[:-5]),
        "record is a list": lambda: record.write_text("[]"),
        "record has no counts": lambda: record.write_text('{"rows": null, "rejected": 7}'),
        "record has other rejected rows": lambda: record.write_text(
            json.dumps({**json.loads(record.read_text()), "rejected": [{}]})
        ),
        "record is nested deep": lambda: record.write_text("[" * 100_000),
    }


DAMAGES = tuple(damages(Path("none")))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_part_that_is_lost_during_the_run_is_made_again(explainer, source, whole, tmp_path, damage):
    output, seen = tmp_path / "out.jsonl", []

    def progress(rows):
        folder = partial_of(output)
        if not seen and len(list(folder.glob("0*.json"))) >= 2:
            seen.append(damages(folder)[damage]())

    summary = score(explainer, source, output, progress=progress)
    assert seen
    assert (summary.rows, summary.rejected, summary.read, summary.remade) == (21, 2, ROWS, 1)
    is_whole(output, whole)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_part_that_is_lost_between_two_runs_is_made_again(explainer, source, whole, tmp_path, damage):
    output = tmp_path / "out.jsonl"
    done = interrupt(explainer, source, output)
    damages(partial_of(output))[damage]()
    summary = score(explainer, source, output)
    assert (summary.read, summary.resumed, summary.remade) == (ROWS, PART_ROWS * (len(done) - 1), 0)
    is_whole(output, whole)


def test_parts_that_always_vanish_end_the_run_by_name(explainer, source, tmp_path, monkeypatch):
    add = Partial.add

    def lose(self, number, write):
        add(self, number, write)
        if number in (1, 3):
            self.data(number).unlink()

    monkeypatch.setattr(Partial, "add", lose)
    said = refusal(score, explainer, source, tmp_path / "out.jsonl")
    assert f"out.jsonl.partial: 2 of {PARTS} parts are missing or damaged (000001.jsonl, …), although" in said
    assert not (tmp_path / "out.jsonl").exists()


def test_all_of_the_folder_vanishes(explainer, source, tmp_path):
    output = tmp_path / "out.jsonl"

    def progress(rows):
        if list(partial_of(output).glob("0*.json")):
            shutil.rmtree(partial_of(output), ignore_errors=True)

    said = refusal(score, explainer, source, output, progress=progress)
    assert f"{output} cannot be written: No such file or directory" in said
    assert not output.exists()


def test_it_says_that_parts_were_made_again(model_folder, source, tmp_path, monkeypatch, capsys):
    add, lost = Partial.add, []

    def lose(self, number, write):
        add(self, number, write)
        if not lost:
            lost.append(self.record(number).unlink())

    monkeypatch.setattr(Partial, "add", lose)
    arguments = [str(source), "--model", str(model_folder), "--part-rows", "4", "--output", str(tmp_path / "o.jsonl")]
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert "warning: parts in o.jsonl.partial vanished or were damaged during the run, and were made again" in said
    assert f"{ROWS} rows read = 21 explained + 2 left out" in said


def test_counts_that_do_not_add_up_are_a_fault_of_the_program():
    assert counted(3, 2, 1) == "3 rows read = 2 explained + 1 left out"
    with pytest.raises(RuntimeError, match="3 rows were read, but 2 explained and 0 left out"):
        counted(3, 2, 0)


@pytest.mark.parametrize("change", [+1, -1])
def test_rows_of_an_earlier_run_that_the_input_has_not(explainer, source, tmp_path, change):
    """A record whose counts are not those of the input, as where the input changed and kept its size and time."""
    output = tmp_path / "out.jsonl"
    interrupt(explainer, source, output)
    record = partial_of(output) / "000000.json"
    said = json.loads(record.read_text())
    record.write_text(json.dumps(said | {"rows": said["rows"] + change}))
    assert f"Part 1 of {output}.partial has {4 + change} rows where the input has 4" in refusal(
        score, explainer, source, output
    )


# Models and inputs that change.


@pytest.mark.parametrize("changed", ["activation", "label", "epsilon", "tokenizer"])
def test_work_is_not_continued_with_another_model(source, tmp_path, changed):
    folder, output = tmp_path / "model", tmp_path / "out.jsonl"
    write_model(folder)
    config, tokenizer = folder / "config.json", folder / "tokenizer.json"
    interrupt(Explainer(load(folder), ar.ExplainConfig(batch_size=4)), source, output)
    before = json.loads(config.read_text())
    labels = {"id2label": {"0": "worse", "1": "neutral", "2": "positive"}}
    changes = {"activation": {"hidden_act": "relu"}, "label": labels, "epsilon": {"layer_norm_eps": 1e-3}}
    config.write_text(json.dumps(before | changes.get(changed, {})))
    if changed == "tokenizer":
        tokenizer.write_text(tokenizer.read_text().replace('"lowercase":true', '"lowercase":false'))
        tokenizer.write_text(re.sub(r'"lowercase":\s*true', '"lowercase": false', tokenizer.read_text()))
        settings = folder / "tokenizer_config.json"
        settings.write_text(settings.read_text().replace('"do_lower_case": true', '"do_lower_case": false'))
    other = Explainer(load(folder), ar.ExplainConfig(batch_size=4))
    name = "model" if changed == "tokenizer" else "config"
    said = refusal(score, other, source, output)
    assert f"{output}.partial holds unfinished work of another command (other: {name})" in said
    assert score(other, source, output, restart=True).read == ROWS


@pytest.mark.parametrize("name", ["out.jsonl", "out.html"])
@pytest.mark.parametrize("change", ["shrinks", "grows", "goes"])
def test_an_input_that_changes_while_it_is_read_is_refused(
    model_folder, source, tmp_path, capsys, monkeypatch, name, change
):
    def tokenize(self, texts, *arguments, **options):
        if not texts:
            return called(self, texts, *arguments, **options)
        content = source.read_bytes() if source.exists() else b""
        if change == "goes":
            source.unlink(missing_ok=True)
        else:
            source.write_bytes(content[:-20] if change == "shrinks" else content + b'{"text": "good", "n": 1}\n')
        return called(self, texts, *arguments, **options)

    called = Tokenizer.__call__
    monkeypatch.setattr(Tokenizer, "__call__", tokenize)
    keep = ["--keep-columns", "n"] if name == "out.jsonl" else []
    code = main([str(source), "--model", str(model_folder), *keep, "--output", str(tmp_path / name)])
    said = capsys.readouterr().err.splitlines()[-1]
    assert (code, f"{source} changed while it was read; begin anew when nothing writes to it." in said) == (2, True)
    assert not (tmp_path / name).exists()


def test_data_that_change_while_they_are_read_are_not_trained_on(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("text,label\n" + "good,1\n" * 50)
    records = read_table(path, "csv", ("text", "label"), (), "utf-8")
    next(records)
    path.write_text("text,label\n" + "good,1\n" * 20)
    assert f"{path} changed while it was read" in refusal(list, records)


# Pipes.


def feed(path, text):
    """Writes into a named pipe, once."""
    writer = threading.Thread(target=lambda: path.write_text(text), daemon=True)
    writer.start()
    return writer


def test_a_named_pipe_is_read_once(model_folder, tmp_path, capsys):
    path, output = tmp_path / "in.txt", tmp_path / "out.jsonl"
    os.mkfifo(path)
    writer = feed(path, "\n".join(lines(9)))
    assert main([str(path), "--model", str(model_folder), "--output", str(output)]) == 0
    writer.join(10)
    assert [json.loads(line)["text"] for line in output.read_text().splitlines()] == lines(9)
    said = capsys.readouterr().err
    assert f"{path} cannot be read again: if this run is interrupted, it has to begin anew" in said
    assert "9 rows read = 9 explained + 0 left out" in said


def test_pipes_and_devices_that_cannot_be_read(tmp_path):
    os.mkfifo(tmp_path / "in.parquet")
    (tmp_path / "zero.txt").symlink_to("/dev/zero")
    for name in ("in.parquet", "zero.txt"):
        assert "is no regular file; give a file, or pipe its lines" in refusal(open_corpus, [str(tmp_path / name)])


# Rows.


def broken_at(stage, monkeypatch):
    """Makes the stage fail at the row that says "broken"."""

    def fails(where, name, text_of):
        called = getattr(where, name)

        def call(*arguments, **options):
            if "broken" in str(text_of(*arguments, **options)):
                raise RecursionError("maximum recursion depth exceeded")
            return called(*arguments, **options)

        monkeypatch.setattr(where, name, call)

    import autorel_jax.data.rows
    import autorel_jax.data.sources
    import autorel_jax.explaining.explainer as explaining
    from autorel_jax.explaining.compute import Computer

    modules = {
        "read": (autorel_jax.data.rows, "_row", lambda record, *_: record.values),
        "checked": (autorel_jax.data.sources, "fault_of", lambda row, *_: row.text),
        "matched with a label": (explaining.targets, "given_id", lambda row, label, *_: label),
        "tokenized": (Tokenizer, "__call__", lambda self, texts, *_, **__: texts),
        "explained": (explaining, "describe", lambda about, row, *_: row.text),
        "computed": (Computer, "answers", lambda self, tokens, *_: [one.words for one in tokens]),
        "written": (Jsonl, "write", lambda self, explanation, *_: explanation.text),
    }
    fails(*modules[stage])


STAGES = ("read", "checked", "matched with a label", "tokenized", "explained", "computed", "written")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["out.jsonl", "/dev/stdout"])
def test_no_row_ends_a_run(model_folder, tmp_path, monkeypatch, capsys, stage, name):
    texts, output = lines(9), tmp_path / name
    texts[5] = "a broken film"
    target = ["--target", "given"] if stage == "matched with a label" else []
    rows = [{"text": text, "label": "positive" if n != 5 else "broken"} for n, text in enumerate(texts)]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    if name == "/dev/stdout":
        output = tmp_path / "pipe.jsonl"
        os.mkfifo(output)
        found = []
        reader = threading.Thread(target=lambda: found.append(output.read_text()), daemon=True)
        reader.start()
    broken_at(stage, monkeypatch)
    arguments = [str(tmp_path / "in.jsonl"), "--model", str(model_folder), "--label-column", "label", *target]
    assert main([*arguments, "--output", str(output)]) == 0
    said = capsys.readouterr().err
    if name == "/dev/stdout":
        reader.join(10)
        text = found[0]
    else:
        text = output.read_text()
    assert [json.loads(line)["text"] for line in text.splitlines()] == texts[:5] + texts[6:]
    assert "9 rows read = 8 explained + 1 left out" in said
    verb = "explained" if stage == "computed" else stage
    reason = f"it cannot be {verb} (RecursionError: maximum recursion depth exceeded)."
    assert f"line 6: {reason}" in said
    if name == "out.jsonl":
        (left_out,) = rejected_of(output).read_text().splitlines()
        assert json.loads(left_out) == {"file": str(tmp_path / "in.jsonl"), "line": 6, "reason": reason}


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".npz"])
def test_columns_nested_deep(explainer, tmp_path, suffix):
    """Also where Python could just read them: the row is left out, whoever calls."""
    depths = [1, 99, 101, 500, 980, 5000]
    rows = [f'{{"text": "good", "n": {"[" * depth}{"]" * depth}}}' for depth in depths]
    (tmp_path / "in.jsonl").write_text("".join(f"{row}\n" for row in rows))
    summary = score(explainer, tmp_path / "in.jsonl", tmp_path / f"out{suffix}")
    assert (summary.rows, summary.rejected) == (2, 4)
    reasons = [json.loads(line)["reason"] for line in rejected_of(tmp_path / f"out{suffix}").read_text().splitlines()]
    assert reasons[:3] == ["the column 'n' has lists or objects nested deeper than 100."] * 3
    assert reasons[3].startswith("not valid JSON")


def test_a_fault_of_the_program_is_not_the_rows(explainer, source, tmp_path, monkeypatch):
    def fail(*arguments):
        raise TypeError("wrong")

    monkeypatch.setattr(part, "usable", lambda row, explainer: row)
    monkeypatch.setattr("autorel_jax.explaining.explainer.describe", fail)
    with pytest.raises(TypeError, match="wrong"):
        score(explainer, source, tmp_path / "out.jsonl")


def test_explanations_are_those_without_the_row(explainer, tmp_path, monkeypatch):
    """A part in which a row fails has the rest as if that row had not been there."""
    texts = lines(4)
    for name, some in (("with", [*texts[:2], "broken", *texts[2:]]), ("without", texts)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f'{{"text": "{text}", "n": 0}}\n' for text in some))
    score(explainer, tmp_path / "without.jsonl", tmp_path / "expected.npz", part_rows=5)
    broken_at("explained", monkeypatch)
    score(explainer, tmp_path / "with.jsonl", tmp_path / "found.npz", part_rows=5)
    with np.load(tmp_path / "expected.npz") as expected, np.load(tmp_path / "found.npz") as found:
        np.testing.assert_array_equal(found["word_relevance"], expected["word_relevance"])
        assert found["id"].tolist() == [1, 2, 4, 5]
