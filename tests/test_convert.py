"""autorel-convert: flags, what it prints, and one line with exit code 2 for every fault of the input."""

import json
import subprocess
import sys

import pytest
from models import bert_tensors, save, tiny_config

from autorel_jax.cli.command import Parser, run
from autorel_jax.cli.convert import main, parser
from autorel_jax.errors import InputError
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights import fingerprint, read

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *(f"piece{i}" for i in range(55)),
]  # as many as vocab_size


@pytest.fixture
def source(tmp_path):
    """A model directory with a vocab.txt."""
    directory = save(tmp_path / "source", bert_tensors())
    (directory / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    return directory


def convert(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_converts_and_says_what_was_read_and_written(source, tmp_path, capsys):
    code, out, err = convert(capsys, source, tmp_path / "out")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"read {source}/model.safetensors: 3 layers of width 16, "
        "labels negative, positive (single_label_classification)",
        "tokenizer: 60 word pieces, uncased (from vocab.txt: 'The' is not in it)",
        f"wrote {tmp_path}/out: config.json, model.safetensors, tokenizer.json, tokenizer_config.json, "
        "vocab.txt, float32",
    ]
    assert fingerprint(read(tmp_path / "out").params) == fingerprint(read(source).params)
    assert load_tokenizer(tmp_path / "out").vocab_size == 60


def test_ignored_tensors_and_warnings_are_reported(tmp_path, source, capsys):
    tensors = bert_tensors() | {"cls.predictions.bias": bert_tensors()["bert.pooler.dense.bias"]}
    tensors["bert.pooler.dense.bias"][0] = float("nan")
    save(source, tensors)
    code, out, err = convert(capsys, source, tmp_path / "out")
    assert code == 0
    assert "ignored by name (1): cls.predictions.bias\n" in out
    assert err == f"autorel-convert: warning: {source}/model.safetensors: NaN or inf in bert.pooler.dense.bias.\n"


def test_the_original_bert_lrp_layout(tmp_path, source, capsys):
    """A state dict alone in its folder; bert_config.json and vocab.txt elsewhere."""
    weights = save(tmp_path / "run", bert_tensors(prefix="module.bert.", head="module.")) / "model.safetensors"
    config = (tmp_path / "run/config.json").rename(tmp_path / "bert_config.json")
    vocab = source / "vocab.txt"
    arguments = (
        weights,
        tmp_path / "out",
        "--config",
        config,
        "--vocab",
        vocab,
        "--labels",
        "no, yes",
        "--cased",
    )
    code, out, _ = convert(capsys, *arguments, "--dtype", "bfloat16", "--problem-type", "multi_label_classification")
    assert code == 0
    assert "labels no, yes (multi_label_classification)" in out
    assert "cased (as asked" in out
    written = json.loads((tmp_path / "out/config.json").read_text())
    assert written["id2label"] == {"0": "no", "1": "yes"}
    assert written["problem_type"] == "multi_label_classification"
    assert written["dtype"] == "bfloat16"
    assert read(tmp_path / "out").config.labels == ("no", "yes")


def test_labels_over_a_config_that_names_too_few(source, tmp_path, capsys):
    """What the flag is for: the head has 3 outputs, id2label 2 names."""
    save(source, bert_tensors(tiny_config(labels=("a", "b", "c"))), tiny_config())
    code, _, err = convert(capsys, source, tmp_path / "out")
    assert code == 2
    assert "has 3 outputs but the config names 2 labels; name them in id2label, or by autorel convert --labels" in err
    code, _, err = convert(capsys, source, tmp_path / "out", "--labels", "bad,so-so,good")
    assert (code, err) == (0, "")
    assert read(tmp_path / "out").config.labels == ("bad", "so-so", "good")


def test_force_may_convert_a_directory_onto_itself(source, capsys):
    before = fingerprint(read(source).params)
    assert convert(capsys, source, source)[0] == 2
    code, _, err = convert(capsys, source, source, "--force", "--uncased")
    assert (code, err) == (0, "")
    assert fingerprint(read(source).params) == before
    assert (source / "tokenizer.json").is_file()


BAD = {
    "no source": (["{tmp}/none"], "no such directory or file"),
    "no vocabulary": (["{tmp}/bare"], "tokenizer.json nor vocab.txt"),
    "no config": (["{source}/model.safetensors", "--config", "{tmp}/none.json"], "none.json does not exist"),
    "vocab": (["{source}", "--vocab", "{tmp}/none.txt"], "none.txt does not exist"),
    "large vocab": (["{source}", "--vocab", "{tmp}/large.txt"], "embeds 60 tokens (vocab_size)"),
    "dtype": (["{source}", "--dtype", "int8"], "invalid choice: 'int8'"),
    "labels": (["{source}", "--labels", "a,b,c"], "expected 2 different names"),
    "same labels": (["{source}", "--labels", "a,a"], "expected 2 different names"),
    "empty label": (["{source}", "--labels", "a,"], "--labels a,: expected names with commas between"),
    "problem without a head": (["{tmp}/encoder", "--problem-type", "regression"], "--problem-type was given, but"),
    "labels without a head": (["{tmp}/encoder", "--labels", "a,b"], "the labels a,b were given, but"),
    "cased and uncased": (["{source}", "--cased", "--uncased"], "not allowed with argument"),
    "unknown flag": (["{source}", "--frobnicate"], "unrecognized arguments: --frobnicate"),
    "revision": (["{source}", "--revision", "main"], "revision 'main' is for models on the hub"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_code_2(case, source, tmp_path, capsys):
    save(tmp_path / "bare", bert_tensors())
    save(tmp_path / "encoder", bert_tensors(tiny_config(labels=())), tiny_config(labels=()))
    (tmp_path / "large.txt").write_text("\n".join([*PIECES, "more"]), encoding="utf-8")
    arguments, expected = BAD[case]
    places = {"tmp": tmp_path, "source": source}
    code, out, err = convert(capsys, *(part.format(**places) for part in arguments), tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.startswith("autorel-convert: error: ")
    assert len(err.splitlines()) == 1
    assert expected in err
    assert not (tmp_path / "out").exists()


def test_help_documents_every_flag_and_shows_examples(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "autorel-convert model.bin sst2 --config bert_config.json" in text
    assert all(action.help for action in parser()._actions)


# run


def test_run_returns_0_after_success(capsys):
    assert run(print, ["a"], "autorel-test") == 0
    assert capsys.readouterr().out == "['a']\n"


def test_run_makes_an_input_error_one_line(capsys):
    def command(argv):
        raise InputError("x\ny does not exist.")

    assert run(command, [], "autorel-test") == 2
    assert capsys.readouterr().err == "autorel-test: error: x y does not exist.\n"


def test_run_leaves_faults_of_the_program_alone():
    with pytest.raises(ZeroDivisionError):
        run(lambda argv: 1 / 0, [], "autorel-test")


def test_run_ends_quietly_when_interrupted(capsys):
    def command(argv):
        raise KeyboardInterrupt

    assert run(command, [], "autorel-test") == 130
    assert capsys.readouterr().err == ""


def test_run_ends_quietly_when_the_reader_has_gone():
    script = "import sys; from autorel_jax.cli.command import run\n"
    script += "sys.exit(run(lambda argv: [print('x' * 100) for _ in range(10**4)], [], 'autorel-test'))"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 2


def test_a_parser_complains_in_one_line():
    with pytest.raises(InputError, match="unrecognized arguments: --x; see autorel-test --help"):
        Parser(prog="autorel-test").parse_args(["--x"])
