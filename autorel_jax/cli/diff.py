"""autorel diff: two models, methods or results on the same texts -> what changed; exit code 1 beyond limits."""

import argparse
import dataclasses
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autorel_jax.auditing.diff_limits import Limits, findings, read_limits
from autorel_jax.auditing.verdict import exit_code, write_junit
from autorel_jax.cli.command import Parser, note, run, say
from autorel_jax.cli.explain import input_corpus, introduced, on_devices
from autorel_jax.cli.explain_flags import add_column_flags, add_reading_flags, explain_config
from autorel_jax.cli.flags import (
    add_compute_dtype,
    add_devices,
    add_fields,
    add_model_flags,
    add_quiet,
    check_written,
    given_fields,
    given_flags,
)
from autorel_jax.cli.method_flags import add_method_flags
from autorel_jax.cli.start import importing
from autorel_jax.cli.stream import progress_bar
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.files import write_text
from autorel_jax.model.config import COMPUTE_DTYPES

if TYPE_CHECKING:
    from autorel_jax.auditing.diff import Diff
    from autorel_jax.classifier import Classifier

PROG = "autorel-diff"
RESULTS = (".jsonl", ".parquet")
FILES = {"output": ".json", "junit": ".xml", "html": ".html"}  # flag -> the suffix of its file
OF_BOTH = {
    "old",
    "new",
    "texts",
    "limits",
    "quiet",
    "prog",
    *FILES,
    *(field.name for field in dataclasses.fields(Limits)),
}
EXAMPLES = """examples:
  autorel diff old-model new-model reviews.csv --max-flip-rate 0.02 --junit diff.xml
  autorel diff sst2 sst2 reviews.csv --new-method occlusion
  autorel diff sst2 sst2 reviews.csv --new-dtype bfloat16 --limits limits.toml --html diff.html
  autorel diff runs/sst2/checkpoints/1000 runs/sst2/checkpoints/2000 reviews.csv
  autorel diff march.parquet april.parquet -o diff.json

exit code: 0; 1 beyond a limit; 2 the input is at fault, or whether a limit is kept cannot be told.
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: diff(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Says what changes from one model, method, dtype or result to another on the same texts: which "
        "predictions, and which words are behind them.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    made.add_argument(
        "old", metavar="OLD", help="a model as of autorel explain; or, without texts, results (.jsonl, .parquet)"
    )
    made.add_argument("new", metavar="NEW", help="likewise; the same model for two methods or dtypes of it")
    made.add_argument("texts", nargs="*", metavar="TEXT", help="texts, files, folders or data sets, as of explain")
    made.add_argument("--pair", action="append", metavar="TEXT", help="the second text of each TEXT; repeat it")
    limits = made.add_argument_group("limits")
    add_fields(limits, Limits, **{field.name: {} for field in dataclasses.fields(Limits)})
    limits.add_argument("--limits", type=Path, metavar="FILE", help="a TOML file of these; flags win")
    new = made.add_argument_group("what is different about NEW, beside the model")
    new.add_argument("--new-method", metavar="NAME", help="NAME or NAME:PARAMETER=VALUE:… (default: as of OLD)")
    new.add_argument("--new-dtype", choices=COMPUTE_DTYPES, help="of the matrix products (default: as of OLD)")
    new.add_argument("--new-revision", metavar="NAME", help="of a model on the hub (default: as of OLD)")
    add_model_flags(made.add_argument_group("models, both of them"))
    explanation = made.add_argument_group("explanation, of both")
    add_method_flags(made, explanation)
    add_reading_flags(explanation)
    add_column_flags(made.add_argument_group("input files"))
    group = made.add_argument_group("run and output")
    group.add_argument("-o", "--output", type=Path, metavar="FILE", help="all that was found, as .json")
    group.add_argument("--junit", type=Path, metavar="FILE", help="the limits as a JUnit report, .xml, for CI systems")
    group.add_argument("--html", type=Path, metavar="FILE", help="both results side by side as a page, .html")
    add_fields(group, ExplainConfig, batch_size={})
    add_compute_dtype(group)
    add_devices(group)
    add_quiet(group)
    return made


def diff(argv: Sequence[str] | None, prog: str) -> int:
    """Parses, explains or reads, compares, writes; returns the exit code."""
    flags = parser(prog)
    args = flags.parse_args(argv)
    limits = read_limits(args.limits, given_fields(args, Limits))
    for name, suffix in FILES.items():
        if path := getattr(args, name):
            check_written(f"--{name}", path, suffix)
    of_results = [Path(side).suffix.lower() in RESULTS for side in (args.old, args.new)]
    if (args.texts and any(of_results)) or of_results[0] != of_results[1]:
        raise InputError("compared are two models on texts, or two files of results (.jsonl, .parquet) without texts.")
    if not args.texts and not all(of_results):
        raise InputError("two models are compared on texts; give some, or a file of them.")
    if all(of_results) and (given := [name for name in given_flags(args, flags) if name not in OF_BOTH]):
        flag = given[0].replace("_", "-")
        raise InputError(f"--{flag} is for models; results are compared as they are.")
    if args.junit and limits == Limits():
        raise InputError(f"--junit {args.junit} reports limits, of which there are none; give some.")
    with importing():
        from autorel_jax.auditing.diff_lines import lines
    found, results = (of_files if all(of_results) else of_models)(args)
    said = findings(found, limits)
    for line in [*lines(found), *(finding.line for finding in said)]:
        say(line)
    if args.output:
        text = {**found.to_dict(), "findings": [finding._asdict() for finding in said]}
        write_text(args.output, f"{json.dumps(text, indent=1, allow_nan=False)}\n")
    if args.junit:
        write_junit(args.junit, "autorel diff", said)
    if args.html:
        from autorel_jax.report.page.save import save_report

        save_report(results[0], args.html, compare=results[1])
    for path in filter(None, (args.output, args.junit, args.html)):
        note(args, f"wrote {path}")
    return exit_code(said)


def of_files(args: argparse.Namespace) -> tuple["Diff", tuple[list, list]]:
    """What changed between two files of results, and their records."""
    from autorel_jax.auditing.diff import compared
    from autorel_jax.auditing.diff_changes import matched
    from autorel_jax.report.saved import read_results

    old, new = (list(read_results(side)) for side in (args.old, args.new))
    return compared(*matched(old, new)), (old, new)


def of_models(args: argparse.Namespace) -> tuple["Diff", tuple[list, list]]:
    """What changed between two models on the texts, and the records of both."""
    from autorel_jax.attribution.targets import reads_given
    from autorel_jax.auditing.diff import compared
    from autorel_jax.auditing.two_models import explained_by_both
    from autorel_jax.explaining.explainer import Explainer

    if args.keep_columns:
        raise InputError("--keep-columns has no meaning here: no rows are written.")
    config = explain_config(args)
    if args.label_column and not reads_given(config.target):
        raise InputError("--label-column is for --target given; predictions are compared with each other.")
    configs = config, new_config(args, config)
    corpus = input_corpus(args)
    changes = {"model": args.new, "dtype": args.new_dtype or args.dtype, "revision": args.new_revision or args.revision}
    sides = (vars(args) | {"model": args.old}, vars(args) | changes)
    with progress_bar(args) as progress, on_devices(args) as devices:
        explainers = [
            Explainer(classifier_of(argparse.Namespace(**side)), one, devices)
            for side, one in zip(sides, configs, strict=True)
        ]
        made = explained_by_both(*explainers, corpus.rows(), devices, progress)
    corpus.check_unchanged()
    if not made.texts:
        raise InputError("No text can be explained by both models.")
    return compared(made.texts, made.alone, made.labels, made.left_out, made.apart), (made.old, made.new)


def classifier_of(args: argparse.Namespace) -> "Classifier":
    """That of a side, which may be a checkpoint of a training run."""
    from autorel_jax.training.folder import is_checkpoint

    path = Path(args.model)
    if not is_checkpoint(path):
        return introduced(args)
    if importlib.util.find_spec("orbax") is None:
        raise InputError(f"{path} is a checkpoint of training, which needs: pip install 'autorel-jax[train]'.")
    from autorel_jax.training.of_run import at_step

    return at_step(path, lambda model: introduced(argparse.Namespace(**vars(args) | {"model": str(model)})))


def new_config(args: argparse.Namespace, config: ExplainConfig) -> ExplainConfig:
    """The config of NEW, which may have another method."""
    if not args.new_method:
        return config
    from autorel_jax.attribution.registry import named
    from autorel_jax.faithfulness.methods import parsed

    name, parameters = parsed(args.new_method)
    read_at = parameters.pop("read_at", config.read_at)
    references = config.references if named(name).contrasts else ()
    return dataclasses.replace(config, method=name, parameters=parameters, read_at=read_at, references=references)
