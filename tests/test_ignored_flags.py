"""Flags that would be read in vain beside others are refused by name, in one line, before a model is looked for."""

import pytest

from autorel_jax.cli.main import main

MODEL = ("--model", "no/model")
CASES = [
    ("explain in.csv --split validation", "--split validation is of a data set, tfds:NAME or hf:NAME"),
    ("explain in.csv ./in.csv", "./in.csv is named twice, so that its texts would count twice; give it once"),
    ("explain in.csv --data-dir sets", "--data-dir sets is of prepared data sets, tfds:NAME"),
    ("explain hf:imdb --split test --data-dir sets", "--data-dir sets is of prepared data sets"),
    ("explain hf:imdb --split test --format csv", "--format says how text is written; a data set says that itself"),
    ("explain tfds:imdb --split test --encoding latin-1", "--encoding says how text is written; a data set"),
    ("explain hf:imdb --split test --delimiter ;", "--delimiter says how text is written"),
    ("explain hf:imdb --split test --input-columns a,b", "--input-columns says how text is written"),
    ("explain in.parquet --encoding latin-1", "--encoding says how text is written; .parquet says that itself"),
    ("explain film --neurons 3", "neurons=3 is of the read-out neurons"),
    ("explain film --readout layers --neurons 3", "neurons=3 is of the read-out neurons"),
    ("explain film --stride 3", "stride=3 is of windows"),
    ("explain film --multi-label", "hypothesis and multi_label are of zero_shot"),
    ("explain film --label-column y", "--label-column is for files"),
    ("evaluate in.csv --protocols curves --marks-column y", "marks: none of the protocols curves reads it"),
    ("evaluate in.csv --protocols eraser,curves --changed-column y", "changed: none of the protocols curves, eraser"),
    ("evaluate in.csv --protocols people --marks-column y --perturb pad", "perturb: none of the protocols people"),
    ("evaluate in.csv --protocols curves --naopc-texts 5", "naopc_texts: none of the protocols curves reads it"),
    ("evaluate in.csv --naopc-texts 5", "naopc_texts: none of the protocols curves, au_mse, eraser"),
    ("evaluate in.csv --references in.csv", "references are of contrast_cat, which is not among the methods"),
    ("evaluate in.csv --other-model x", "--other-model is compared by --sanity"),
    ("evaluate in.csv --format eraser --encoding latin-1", "of the flags of input files --pair-column alone"),
    ("evaluate in.csv --format eraser --id-column y", "of the flags of input files --pair-column alone"),
    ("evaluate in.csv --split validation", "--split validation is of a data set"),
    ("rank how in.csv --label-column y", "--pair-column, --label-column and --keep-columns are for autorel explain"),
    ("rank how in.csv --data-dir sets", "--data-dir sets is of prepared data sets"),
    ("similar film movie --encoding latin-1", "--encoding is of a file of pairs; give the file alone"),
    ("similar film movie --id-column y", "--id-column is of a file of pairs"),
    ("similar in.csv --pair-column y --output out.jsonl --top 3", "--top is of two texts"),
    ("similar film movie --top 0", "--top 0: expected a whole number of at least 1"),
    ("diff old new in.csv --label-column y", "--label-column is for --target given"),
    ("check in.csv --policy none.toml --label-column y", "--label-column has no meaning here"),
    ("diff old new in.csv --split validation", "--split validation is of a data set"),
]


@pytest.mark.parametrize(("command", "said"), CASES)
def test_a_flag_that_is_read_in_vain_is_refused(tmp_path, capsys, monkeypatch, command, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("text,y\ngood,1\n")
    words = command.split()
    assert main([*words, *(() if words[0] in ("diff",) else MODEL)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
