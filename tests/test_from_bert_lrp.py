"""docs/from_bert_lrp.md: each line of its tables is run, on a tiny model, and its Python does what it says."""

import re
import shlex
from pathlib import Path

import jax
import numpy as np
import pytest
from models import write_model

import autorel_jax as ar
from autorel_jax.cli import convert, explain, report, train
from autorel_jax.data.presets import named

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "from_bert_lrp.md").read_text("utf-8")
COMMANDS = {
    "python train.py": train,
    "python explain.py": explain,
    "autorel convert": convert,
    "autorel report": report,
}
VALUES = {"--task_name": "SST5", "--task": "SST5", "--device": "cpu", "--coordinator": "auto"}  # others take a number
LABELS = ("very negative", "negative", "neutral", "positive", "very positive")


def table(heading):
    """The cells of the rows of a table, by the heading of its section."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def code(cell):
    return re.findall(r"`([^`]+)`", cell)


def parsed(command):
    """The arguments of a command of ours; None if it is none."""
    for start, module in COMMANDS.items():
        if command.startswith(f"{start} "):
            arguments = shlex.split(command.removeprefix(start).replace("…", ""))
            return module.parser().parse_args(arguments) if arguments else True
    return None


def test_commands_parse():
    found = [command for row in table("Commands") for command in code(row[1]) if command.startswith(tuple(COMMANDS))]
    assert len(found) == 6
    assert all(parsed(command) for command in found)
    assert {start for start in COMMANDS if any(command.startswith(start) for command in found)} == set(COMMANDS)


def fences(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [code for name, code in found if name == language]


def test_the_original_command_line_is_taken_as_it_is():
    (command,) = fences("")
    args = train.parser().parse_args(shlex.split(command.replace("\\\n", " "))[2:])
    assert (args.task, args.learning_rate, args.batch_size, args.epochs, args.seed) == ("SST5", 2e-5, 8, 3.0, 123)
    assert (args.cased, args.eval_test, args.max_length) == (False, True, 512)
    assert (str(args.model), str(args.vocab)) == ("bert/pytorch_model.bin", "bert/vocab.txt")
    assert args.ignored == ["BERTPretrain"]


def given(flag):
    """The arguments with this flag alone."""
    name, _, value = flag.partition(" ")
    action = train.parser()._option_string_actions[name]
    words = [name] if action.nargs == 0 else [name, value or VALUES.get(name, "1")]
    args = vars(train.parser().parse_args(words))
    return {key: value for key, value in args.items() if key != "prog"}


@pytest.mark.parametrize("row", table("Flags of run_classifier.py"), ids=lambda row: row[0])
def test_each_flag_has_its_counterpart(row):
    (theirs,), ours = code(row[0]), code(row[1])
    if "ignored" in row[2] or theirs == "--no_cuda":
        assert given(theirs).keys() == {"ignored"}
        assert all(given(flag) for flag in ours)
    else:
        (ours,) = ours
        assert given(theirs) == given(ours) != {}


def test_all_flags_of_the_original_are_there():
    """Those of its util/args_parser.py."""
    listed = {code(row[0])[0].split()[0] for row in table("Flags of run_classifier.py")}
    assert listed == {
        *("--task_name", "--data_dir", "--vocab_file", "--output_dir", "--model_type", "--bert_config_file"),
        *("--embed_file", "--init_checkpoint", "--eval_test", "--do_lower_case", "--max_seq_length"),
        *("--train_batch_size", "--eval_batch_size", "--base_learning_rate", "--learning_rate", "--num_train_epochs"),
        *("--warmup_proportion", "--no_cuda", "--accumulate_gradients", "--local_rank", "--seed"),
        "--gradient_accumulation_steps",
    }


def test_each_processor_has_its_task():
    tasks = [(code(row[0])[0], row[1]) for row in table("Processors") if row[1].startswith("`--task ")]
    assert len(tasks) == 7
    for theirs, ours in tasks:
        name = code(ours)[0].removeprefix("--task ")
        assert theirs == f"{name}_Processor"
        assert named(name).is_file()


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The names that the page's Python leaves, in a folder that has the model it loads."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "runs" / "sst5").mkdir(parents=True)
    write_model(folder / "runs" / "sst5" / "model", labels=LABELS)
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for number, python in enumerate(fences("python"), start=1):
            exec(compile(python, f"from_bert_lrp.md, Python {number}", "exec"), found)
        yield found


EXPRESSIONS = [
    expression
    for heading in ("Classes", "Attribution", "Functions of lrp_visualize")
    for row in table(heading)
    for expression in code(row[1])
    if re.match(r"(ar|classifier|explanations)\b.*[).\w]$", expression) and expression != "explanations"
]


def test_there_are_expressions():
    assert len(EXPRESSIONS) == 17


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_expression_runs(names, expression):
    if ".plot(" in expression:
        pytest.importorskip("matplotlib").use("Agg")
    if ".to_pandas(" in expression:
        pytest.importorskip("pandas")
    eval(expression, names)


def scores(explanations):
    return [one.token_relevance for one in explanations]


def test_relevance_by_the_vjp_is_that_of_explain(names):
    last = {"target": "very positive"}
    logits = names["logits"] * names["onehot"]
    (relevance,) = names["backward_lrp"](logits)
    for row, one in zip(
        relevance.sum(-1),
        scores(ar.explain(names["classifier"], names["texts"], method="bert_lrp", **last)),
        strict=True,
    ):
        np.testing.assert_allclose(row[: len(one)], one, atol=1e-5)
    found = ar.explain(names["classifier"], names["texts"], method="gradient_x_input", read_at="embeddings", **last)
    for row, one in zip(names["product"].sum(-1), scores(found), strict=True):
        np.testing.assert_allclose(row[: len(one)], one, atol=1e-5)


def test_the_scores_of_the_notebook(names):
    assert names["lrp_scores"].shape == names["gi_scores"].shape == names["batch"].ids.shape
    assert (np.asarray(names["lrp_scores"]) >= 0).all()
    assert jax.numpy.isfinite(names["gi_scores"]).all()
