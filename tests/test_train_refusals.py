"""What the train command says of flags and configs that it cannot take: one line, exit code 2, nothing written."""

import dataclasses
import json
import shutil
import sys

import jax
import pytest
import tomli_w
import training
from models import refusal
from training import call, refused

from autorel_jax.cli import train as command
from autorel_jax.cli.train import resolve
from autorel_jax.cli.train_flags import IGNORED, ORIGINAL, parser
from autorel_jax.training import folder
from autorel_jax.training.config import TrainConfig
from autorel_jax.training.run import PACKAGES
from autorel_jax.training.step import Learner


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """encoder/ and task/ beside each other."""
    places = tmp_path_factory.mktemp("refused")
    training.write_encoder(places / "encoder")
    training.write_task(places / "task")
    return places


@pytest.fixture
def config(places, tmp_path):
    """A copy of the task, to be damaged, beside a link to the encoder."""
    (tmp_path / "encoder").symlink_to(places / "encoder")
    return shutil.copytree(places / "task", tmp_path / "task") / "task.toml"


def test_every_field_has_a_flag_and_every_flag_says_what_it_does(capsys):
    actions = {name: action for action in parser()._actions for name in action.option_strings}
    assert all(action.help and not action.help.startswith("(") for action in actions.values())
    for field in dataclasses.fields(TrainConfig):
        if field.name != "task":
            names = {f"--{field.name}", f"--{field.name.replace('_', '-')}", *ORIGINAL.get(field.name, ())}
            assert {actions[name].dest for name in names} == {field.name}
    with pytest.raises(SystemExit) as end:
        parser().parse_args(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert all(flag in shown for flag in IGNORED)


def test_each_ignored_flag_is_said_to_be(places, tmp_path):
    words = [word for flag, (count, _) in IGNORED.items() for word in (flag, *["x"] * count)]
    arguments = ("--config", places / "task/task.toml", "--output", tmp_path / "run", "--max-length", 99, *words)
    code, _, err = call(*arguments)
    assert code == 2
    *said, last = err.splitlines()
    assert said == [f"autorel-train: {flag} is ignored: {reason}" for flag, (_, reason) in IGNORED.items()]
    assert "max_length=99 exceeds the model's 16 positions" in last


def test_a_config_among_those_that_are_installed(places, config, tmp_path, monkeypatch):
    """Has no data beside it: where they are is said by a flag or by the file."""
    monkeypatch.setattr(command, "FOLDERS", (config.parent,))
    given = {"config": config, "output": tmp_path / "run"}
    assert refusal(resolve, given) == "--data-dir DIR is missing: the folder with the files of the task."
    assert resolve(given | {"data_dir": places / "task"}).data_dir == places / "task"
    config.write_text(f"data_dir = '{places}/task'\n{config.read_text()}")
    assert resolve(given).data_dir == places / "task"


def test_a_tensorflow_prefix_beside_a_config(config, tmp_path):
    """Is no path of its own: its files are the prefix with more behind it."""
    (config.parent / "bert_model.ckpt.index").touch()
    config.write_text(config.read_text().replace("../encoder", "bert_model.ckpt"))
    assert resolve({"config": config}).model == f"{config.parent}/bert_model.ckpt"


def test_a_flag_that_is_none(tmp_path):
    assert "unrecognized arguments: --frobnicate; see autorel-train --help" in refused("--frobnicate")
    assert "--config FILE or --task NAME is missing" in refused("--output", tmp_path / "run")
    assert "not allowed with argument" in refused("--config", "x.toml", "--task", "SST5")


FLAGS = [
    ("--config {tmp}/none.toml", "none.toml does not exist"),
    ("--task SST9", "There is no task 'SST9'"),
    ("--config {config} --batch-size many", "invalid int value: 'many'"),
    ("--config {config} --batch-size 0", "batch_size=0: expected a finite number of at least 1"),
    ("--config {config} --learning-rate nan", "learning_rate=nan: expected a finite number"),
    ("--config {config} --learning-rate inf", "learning_rate=inf: expected a finite number"),
    ("--config {config} --epochs 0", "epochs=0: expected more than 0, or max_steps"),
    (
        "--config {config} --epochs 1e308",
        "epochs=1e+308: expected a finite number of at least 0 and at most 2147483647",
    ),
    ("--config {config} --epochs 2e9", "epochs=2000000000.0 are 12000000000 steps; expected at most 2147483647"),
    ("--config {config} --max-steps 3000000000", "max_steps=3000000000: expected a finite number of at least 1 and at"),
    ("--config {config} --seed 9223372036854775808", "seed=9223372036854775808: expected a finite number of at least"),
    ("--config {config} --epsilon 0", "epsilon=0.0: expected a finite number of at least 1e-30"),
    ("--config {config} --warmup 1.5", "warmup=1.5: expected less than 1"),
    ("--config {config} --accumulation 5", "accumulation=5 does not divide batch_size=16; use a divisor"),
    ("--config {config} --schedule square", "invalid choice: 'square'"),
    ("--config {config} --max-length 17", "max_length=17 exceeds the model's 16 positions"),
    ("--config {config} --data-dir {tmp}", "train.csv does not exist: the train data of tiny"),
    ("--config {config} --model {tmp}/none", "none': no such directory or file"),
    ("--config {config} --model {tmp}/task", "task"),
    ("--config {config} --model ~nobody/none", "~nobody/none"),
    ("--config {config} --vocab {tmp}/none.txt", "none.txt does not exist"),
    (
        "--config {config} --class-weights 1 2",
        "one finite number greater than 0 for each of the 3",
    ),
    ("--config {config} --class-weights 1 2 many", "expected balanced, or 3 numbers"),
    ("--config {config} --freeze-layers 3", "freeze_layers=3: the model has 2 layers"),
    ("--config {config} --select pearson", "select='pearson' cannot choose a checkpoint"),
    ("--config {config} --devices 99", "--devices 99: there are 1 (cpu)"),
    ("--config {config} --device tpu", "--device tpu: there is no such device here"),
    ("--config {config} --device cpu:7", "--device cpu:7: there is no such device here; available: cpu:0"),
    ("--config {config} --device cpu:0 --devices 1", "--device cpu:0 is one device; leave out its number or --devices"),
    ("--config {config} --processes 2", "need --coordinator HOST:PORT"),
]


@pytest.mark.parametrize(("flags", "said"), FLAGS, ids=[flags.replace("--config {config} ", "") for flags, _ in FLAGS])
def test_flags(flags, said, config, tmp_path):
    words = [word.format(tmp=tmp_path, config=config) for word in flags.split()]
    assert said in refused(*words, "--output", tmp_path / "run")
    assert not (tmp_path / "run").exists()


FILES = [
    ({"learning_rat": 1}, {}, "unknown key 'learning_rat'; accepted: task, model,"),
    ({"learning_rate": "fast"}, {}, "learning_rate = 'fast': expected a float"),
    ({"learning_rate": 10**400}, {}, "expected a float"),
    ({"batch_size": 16.0}, {}, "batch_size = 16.0: expected a int"),
    ({"remat": 1}, {}, "remat = 1: expected a bool"),
    ({"model": ""}, {}, "--model is missing"),
    ({"task": "x"}, None, "task is a str; expected a table [task]"),
    ({}, {"lable": "x"}, "[task]: unknown key 'lable'; accepted: name, train,"),
    ({}, {"labels": 3.5}, "a classification needs at least two"),
    ({}, {"labels": [["a"], ["b"]]}, "expected a list of strings"),
    (
        {},
        {"labels": ["negative", "positive"]},
        "row from line 3: the label 'neutral' is unknown; accepted: 'negative'",
    ),
    ({}, {"label": "stars"}, "stars"),
    ({}, {"train": "more.csv"}, "more.csv does not exist: the train data of tiny"),
    ({}, {"dev": "more.csv"}, "more.csv does not exist: the dev data of tiny"),
    ({}, {"train": "task.toml"}, "the suffix is not one of .tsv, .csv, .jsonl, .ndjson, .json, .parquet"),
    ({}, {"problem": "ranking"}, "problem='ranking' is unknown"),
    ({}, {"problem": "regression", "labels": []}, "the label 'negative' is not a finite number"),
    ({}, {"dev_fraction": 0.5}, "has dev and dev_fraction; give one of them"),
    ({"eval_test": True}, {"test": None}, "--eval-test: [task] names no test data"),
    ({"early_stopping": 1}, {"dev": None}, "--early-stopping: [task] names no dev data"),
    ({"select": "accuracy"}, {"dev": None}, "--select: [task] names no dev data; set dev or dev_fraction."),
    ({"evaluate_every": 1}, {"dev": None}, "--evaluate-every: [task] names no dev data"),
    ({}, {"problem": "multi_label_classification", "separator": ""}, "[task] separator is empty"),
]


@pytest.mark.parametrize(("top", "task", "said"), FILES, ids=[said for _, _, said in FILES])
def test_files(top, task, said, config, tmp_path):
    values = training.read_toml(config)
    values |= top
    if task is not None:
        values["task"] |= task
        values["task"] = {name: value for name, value in values["task"].items() if value is not None}
    config.write_text(tomli_w.dumps(values))
    assert said in refused("--config", config, "--output", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_regression_on_one_number(config, tmp_path):
    """No correlation with it is defined, so that none could choose a checkpoint."""
    for name, numbers in (("train", "1 2 3"), ("dev", "2.5 2.5 2.5")):
        rows = [json.dumps({"text": "a good film", "label": float(number)}) for number in numbers.split()]
        (config.parent / f"{name}.jsonl").write_text("\n".join(rows))
    task = {"train": "train.jsonl", "dev": "dev.jsonl", "text": "text", "label": "label", "problem": "regression"}
    values = training.read_toml(config) | {"task": task}
    config.write_text(tomli_w.dumps(values))
    line = refused("--config", config, "--output", tmp_path / "run", "--data-dir", config.parent)
    assert "dev: all 3 labels are 2.5, so that no correlation with them is defined" in line


def test_a_file_that_is_no_toml(config, tmp_path):
    config.write_bytes(b"seed = \xff")
    assert "is not a TOML file that can be read" in refused("--config", config, "--output", tmp_path / "run")
    for text in ("seed = [", f"seed = {'9' * 5000}"):
        config.write_text(text)
        assert "is not a TOML file that can be read" in refused("--config", config, "--output", tmp_path / "run")


def test_a_file_with_a_byte_order_mark(config):
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert resolve({"config": config}).task.name == "tiny"


def test_a_run_whose_config_is_damaged_or_gone(config, tmp_path):
    """Says how it can be got back; the checkpoints are all there."""
    output = tmp_path / "run"
    (output / folder.CHECKPOINTS).mkdir(parents=True)
    for arguments in (("--config", config, "--output", output, "--resume"), ("--output", output, "--resume")):
        said = refused(*arguments)
        assert said.startswith(f"{output}/config.toml does not exist")
        assert "Restore it, or write it anew: begin the same run" in said
    for damaged in ("seed = [", "", "seed = 'x'"):
        (output / folder.CONFIG).write_text(damaged)
        for arguments in (("--config", config, "--output", output, "--resume"), ("--output", output, "--resume")):
            said = refused(*arguments)
            assert f"{output}/config.toml" in said
            assert "Restore it, or write it anew: begin the same run" in said


def test_a_folder_with_something_in_it(config, tmp_path):
    output = tmp_path / "run"
    output.mkdir()
    (output / "mine.txt").write_text("precious")
    arguments = ("--config", config, "--output", output)
    assert refused(*arguments) == f"{output} is not empty; give another folder with --output."
    assert "is not empty and holds no run to resume" in refused(*arguments, "--resume")
    assert "--config FILE or --task NAME is missing" in refused("--output", output, "--resume")
    assert [path.name for path in output.iterdir()] == ["mine.txt"]
    assert "--output is missing" in refused("--config", config)


def test_a_run_that_is_another(config, tmp_path):
    """Whatever training depends on is compared; nothing of the run is touched."""
    output = tmp_path / "run"
    arguments = ("--config", config, "--output", output)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autorel_jax.training.loop.run", lambda *_: (_ for _ in ()).throw(SystemExit(143)))
        assert call(*arguments)[0] == 143
    before = (output / "config.toml").read_bytes()
    assert "holds a run; add --resume to go on with it, or give another folder" in refused(*arguments)
    for flag, value, said in (
        ("--learning-rate", 2e-2, "learning_rate = 0.01, not 0.02"),
        ("--seed", 1, "seed = 7, not 1"),
        ("--revision", "main", "revision = None, not 'main'"),
        ("--class-weights", "balanced", "class_weights = (), not ('balanced',)"),
    ):
        line = refused(*arguments, "--resume", flag, value)
        assert said in line
        assert "resume it with the same settings, or give another folder" in line
    text = config.read_text()
    config.write_text(text.replace('name = "tiny"', 'name = "small"'))
    assert "holds a run with name = 'tiny', not 'small'" in refused(*arguments, "--resume")
    assert (output / "config.toml").read_bytes() == before
    assert [path.name for path in output.iterdir()] == ["config.toml"]


def test_a_folder_in_which_another_process_trains(config, tmp_path):
    output = tmp_path / "run"
    with folder.held(output):
        said = refused("--config", config, "--output", output)
        assert said.startswith(f"another process is training in {output}; wait for it or stop it, or give another")
        assert not any(output.iterdir())
    with folder.held(output):  # free again
        pass


def test_what_a_kill_left_is_no_run(config, tmp_path):
    """A run that was killed while its config was written is begun, and what it left is removed."""
    output = tmp_path / "run"
    output.mkdir()
    (output / f".{folder.CONFIG}.0123abcd").write_text("cut o")
    (output / f".{folder.MODEL}.0123abcd").mkdir()
    arguments = ("--config", config, "--output", output, "--resume")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autorel_jax.training.loop.run", lambda *_: (_ for _ in ()).throw(SystemExit(143)))
        assert call(*arguments)[0] == 143
    assert [path.name for path in output.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_is_not_installed(name, config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    said = refused("--config", config, "--output", tmp_path / "run")
    assert said == f"training needs {name}; run: pip install 'autorel-jax[train]'"
    assert not (tmp_path / "run").exists()


def test_memory_that_runs_out(config, tmp_path, monkeypatch):
    """Which no other error is taken for."""
    said = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 7 bytes."

    def full(*_):
        raise jax.errors.JaxRuntimeError(said)

    monkeypatch.setattr(Learner, "compiled", lambda *_: (full, full))
    arguments = ("--config", config, "--output")
    line = refused(*arguments, tmp_path / "run")
    assert line.startswith("the device's memory ran out; give another --output and --accumulation 2 or more, --remat,")

    def none(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "compiled", lambda *_: (none, none))
        assert refused(*arguments, tmp_path / "host").startswith("the memory ran out; give another --output and")
    said = "INTERNAL: something else."
    with pytest.raises(jax.errors.JaxRuntimeError, match=said):
        call(*arguments, tmp_path / "other")


def test_a_place_where_nothing_can_be_written(config, tmp_path):
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "run"):
        assert refused("--config", config, "--output", output) == f"{output} cannot be written: Not a directory."
