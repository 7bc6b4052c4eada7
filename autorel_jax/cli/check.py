"""autorel check: texts, a policy and a model -> whether the model decides by words that it should not decide by."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.auditing.policy import read_policy
from autorel_jax.cli.command import Parser, note, run, say
from autorel_jax.cli.explain import explainer_of, input_corpus
from autorel_jax.cli.explain_flags import add_column_flags
from autorel_jax.cli.flags import (
    add_compute_dtype,
    add_devices,
    add_fields,
    add_model,
    add_quiet,
    check_written,
    given_fields,
)
from autorel_jax.cli.method_flags import add_method_flags, method_options
from autorel_jax.cli.start import importing
from autorel_jax.cli.stream import progress_bar
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.files import write_text

PROG = "autorel-check"
EXAMPLES = """examples:
  autorel check reviews.csv --text-column review --policy policy.toml --model sst2
  autorel check reviews.csv --policy policy.toml --model sst2 -o check.json --junit check.xml --report check.html
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: check(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Checks that a classifier does not decide by the words of a policy: how much of the relevance they "
        "may have, and what may change when they are exchanged.\nExit code 0: all of it holds; 1: some does not; 2: it "
        "cannot be checked.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    made.add_argument("texts", nargs="+", metavar="DATA", help="files, folders or data sets, as of autorel explain")
    made.add_argument(
        "--policy", required=True, type=Path, metavar="FILE", help="a .toml file; docs/audit.md has every key"
    )
    output = add_audit_flags(made)
    output.add_argument(
        "--junit", type=Path, metavar="FILE", help="write the verdicts there as JUnit XML, which CI systems read"
    )
    return made


def check(argv: Sequence[str] | None, prog: str) -> int:
    """Reads the policy, explains, exchanges words, tells. Whatever can be checked early is checked before."""
    args = parser(prog).parse_args(argv)
    if args.label_column:
        raise InputError("--label-column has no meaning here: what is checked is why a label is predicted.")
    policy = read_policy(args.policy)
    check_outputs(args, {"output": ".json", "report": ".html", "junit": ".xml"})
    config = audit_config(args, split_punctuation=True)  # so that no word comes with its comma
    corpus = input_corpus(args)
    with importing():
        from autorel_jax.auditing import browser, terminal, verdict
        from autorel_jax.auditing.check import check as run_check
    with progress_bar(args) as progress, explainer_of(args, config) as explainer:
        found = run_check(explainer, policy, corpus.rows(), progress)
    corpus.check_unchanged()
    record, findings = found.record, terminal.findings(found.record)
    say("\n".join(terminal.of_check(record)))
    if args.output:
        write_json(args.output, record)
    if args.junit:
        verdict.write_junit(args.junit, "autorel check", findings)
    if args.report:
        browser.of_check(args.report, found)
    tell_written(args)
    return verdict.exit_code(findings)


def audit_config(args: argparse.Namespace, **more: Any) -> ExplainConfig:
    """How texts are explained."""
    return ExplainConfig(**given_fields(args, ExplainConfig) | method_options(args), **more)


def check_outputs(args: argparse.Namespace, suffixes: Mapping[str, str]) -> None:
    """Raises InputError for what could not be written in the end."""
    if args.keep_columns:
        raise InputError("--keep-columns has no meaning here: no rows are written.")
    for name, suffix in suffixes.items():
        if path := getattr(args, name):
            check_written(f"--{name}", path, suffix)


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Writes a record."""
    write_text(path, json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def tell_written(args: argparse.Namespace) -> None:
    """Says which files there are now."""
    for name in ("output", "junit", "report"):
        if path := getattr(args, name, None):
            note(args, f"wrote {path}")


def add_audit_flags(made: Parser) -> argparse._ArgumentGroup:
    """Adds the flags that check and shortcuts share: model, method, input and output; returns the group of the last."""
    model = made.add_argument_group("model")
    add_model(model)
    explanation = made.add_argument_group("explanation, of the predicted label")
    add_method_flags(made, explanation, targets=False)
    add_fields(explanation, ExplainConfig, split_words={}, max_length={})
    add_column_flags(made.add_argument_group("input files"))
    output = made.add_argument_group("run and output")
    add = output.add_argument
    add("-o", "--output", type=Path, metavar="FILE", help="write all of it there, as .json")
    add("--report", type=Path, metavar="FILE", help="write a page for a browser there, .html")
    add_fields(output, ExplainConfig, batch_size={})
    add_compute_dtype(output)
    add_devices(output)
    add_quiet(output)
    made.set_defaults(pair=None)
    return output
