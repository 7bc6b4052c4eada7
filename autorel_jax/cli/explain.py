"""autorel explain: texts and a classifier -> which words made it decide.

The same as autorel-explain and `python explain.py`. The flags are in explain_flags.py.
"""

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from autorel_jax.cli.command import note, run, warn
from autorel_jax.cli.explain_flags import PROG, explain_config, parser
from autorel_jax.cli.flags import loaded
from autorel_jax.cli.recording import check_explain_record, record_output, write_record
from autorel_jax.cli.start import importing
from autorel_jax.cli.stream import opened, progress_bar, stream
from autorel_jax.corpus.config import LOCAL
from autorel_jax.data.kinds import HF, TFDS, suffix_of
from autorel_jax.data.row import Columns, Row
from autorel_jax.data.sources import Corpus, is_source, of_texts, open_corpus
from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import MASKED, TEXT_LABELS
from autorel_jax.files import is_pipe

if TYPE_CHECKING:
    import jax

    from autorel_jax.auditing.record import Recorder
    from autorel_jax.classifier import Classifier
    from autorel_jax.explaining.config import ExplainConfig
    from autorel_jax.explaining.explainer import Explainer
    from autorel_jax.model.config import BertConfig

OF_FILES = ("format", "delimiter", "input_columns", "encoding")  # flags that say how files are written
NAMED = 5  # files in a warning
OF_SOURCES = (  # flags without a meaning for texts of the command line
    "text_column",
    "pair_column",
    "label_column",
    "id_column",
    "keep_columns",
    "format",
    "delimiter",
    "input_columns",
    "encoding",
    "split",
    "data_dir",
)


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: explain(words, prog), argv, prog)


def explain(argv: Sequence[str] | None, prog: str) -> int:
    """Parses, loads, explains, writes. Whatever can be checked early is checked before the model is loaded."""
    args = parser(prog).parse_args(argv)
    check_output(args)
    if args.record:
        check_explain_record(args)
    config = explain_config(args)
    corpus = input_corpus(args)
    if is_job(args):
        from autorel_jax.cli.job import job_config, write_job

        job = job_config(args, config, corpus)
        with importing():
            import autorel_jax.corpus.job
        with progress_bar(args) as progress, explainer_of(args, config, local=job.engine == LOCAL) as explainer:
            tell_of_labels(args, explainer)
            recorder = recorder_of(args, explainer)
            code = write_job(args, explainer, corpus, job, progress)
        if recorder:
            record_output(args, recorder)
        return code
    with importing():  # before a file is begun
        import autorel_jax.explaining.explainer  # noqa: F401
    with (
        opened(args, config, corpus) as write,
        progress_bar(args) as progress,
        explainer_of(args, config) as explainer,
    ):
        tell_of_labels(args, explainer)
        recorder = recorder_of(args, explainer)
        code = stream(args, explainer, corpus, write, progress, recorder)
    if recorder:
        write_record(args, recorder)
    return code


def check_output(args: argparse.Namespace) -> None:
    """Raises InputError for flags of the terminal beside --output, or beside each other."""
    if args.json and args.output:
        raise InputError(f"--json is for standard output; give --output {args.output} or --json, not both.")
    if args.all_words and (args.json or args.output):
        raise InputError("--all-words is for text on the terminal; --json and --output hold all words anyway.")


def is_job(args: argparse.Namespace) -> bool:
    """Whether the output is a file that is made in parts: no page, and no pipe or device."""
    return args.output is not None and args.output.suffix.lower() != ".html" and not is_pipe(args.output)


def recorder_of(args: argparse.Namespace, explainer: "Explainer") -> "Recorder | None":
    """What gathers the record that --record asks for."""
    if not args.record:
        return None
    from autorel_jax.auditing.record import Recorder

    return Recorder(explainer)


def tell_of_labels(args: argparse.Namespace, explainer: "Explainer") -> None:
    """Says where labels are read that nothing is compared with."""
    from autorel_jax.attribution.targets import reads_given
    from autorel_jax.explaining.part import no_mark

    reason = no_mark(explainer)
    if args.label_column and reason and not reads_given(explainer.config.target):
        note(args, f"the model {reason}, so no prediction is right or wrong: --label-column counts nothing")


@contextlib.contextmanager
def explainer_of(args: argparse.Namespace, config: "ExplainConfig", local: bool = True) -> Iterator["Explainer"]:
    """The Explainer, on the devices of the flags; `local`: whether this process computes."""
    from autorel_jax.explaining.explainer import Explainer

    with on_devices(args, local) as devices:
        yield Explainer(introduced(args), config, devices)


@contextlib.contextmanager
def on_devices(args: argparse.Namespace, local: bool = True) -> Iterator[Sequence["jax.Device"]]:
    """The devices of the flags, as an Explainer takes them; inside, JAX computes there."""
    import jax

    from autorel_jax.cli.device import choose_device, keep_compiled_programs, limit_threads
    from autorel_jax.sharding import first_devices

    limit_threads(args.threads)
    keep_compiled_programs()
    device = choose_device(args.device)
    if device and args.devices:
        raise InputError("--device and --devices exclude each other; give one.")
    devices = first_devices(jax.devices(), args.devices) if local and not device else []
    with jax.default_device(device):
        yield devices


def input_corpus(args: argparse.Namespace) -> Corpus:
    """The rows of the sources, or of the texts on the command line."""
    sources = [text for text in args.texts if is_source(text)]
    if not sources:
        given = next((name for name in OF_SOURCES if getattr(args, name)), None)
        if given:
            raise InputError(
                f"--{given.replace('_', '-')} is for files, but {one_line(args.texts[0], 60)!r} is not one that exists"
                "; a text on the command line has no columns."
            )
        return of_texts(text_rows(args.texts, args.pair))
    if len(sources) < len(args.texts) or args.pair:
        raise InputError(f"{sources[0]} is a source of its own; give it alone, without other texts and --pair.")
    check_layout(args, sources)
    columns = Columns(
        args.text_column or Columns.text,
        args.pair_column,
        args.label_column,
        args.id_column,
        args.keep_columns,
        args.format,
        args.delimiter,
        args.input_columns,
    )
    encoding = args.encoding or "utf-8"
    corpus = open_corpus(sources, columns, encoding=encoding, split=args.split, data_dir=args.data_dir)
    for source in corpus.sources:
        if source.note:
            note(args, source.note)
    if corpus.left_out:
        first, more = corpus.left_out[:NAMED], len(corpus.left_out) - NAMED
        listed = ", ".join(first) + (f" and {more} more" if more > 0 else "")
        warn(args.prog, [f"left out, as outputs of this command: {listed}; to explain such a file, name it itself"])
    for flag in ("output", "record"):
        path = getattr(args, flag, None)
        if path and corpus.holds(path):
            raise InputError(f"--{flag} {path} is the input itself; give another file.")
    if corpus.again:
        # A file that cannot be read, or lacks a column, is refused now, and likewise if all are empty.
        filled = [next(source.rows(), None) is not None for source in corpus.sources]
        if not any(filled):
            next(corpus.rows())
    return corpus


def check_layout(args: argparse.Namespace, sources: Sequence[str]) -> None:
    """Raises InputError for flags that say how files are written, where no file is read that it could be of."""
    if getattr(args, "references", None):  # which are read so too
        return
    if all(source.startswith((TFDS, HF)) for source in sources):
        kind, flags = "a data set", OF_FILES
    elif all(suffix_of(source) == ".parquet" for source in sources) and not args.format:
        kind, flags = ".parquet", ("encoding",)
    else:
        return
    given = next((name for name in flags if getattr(args, name)), None)
    if given:
        raise InputError(
            f"--{given.replace('_', '-')} says how text is written; {kind} says that itself. Leave it out."
        )


def text_rows(texts: Sequence[str], pairs: Sequence[str] | None) -> list[Row]:
    """The texts on the command line as rows, numbered from 1."""
    if pairs is not None and len(pairs) != len(texts):
        raise InputError(f"{len(texts)} texts but {len(pairs)} --pair; give one for each text.")
    second = pairs or [None] * len(texts)
    numbered = enumerate(zip(texts, second, strict=True), start=1)
    return [Row(number, text, pair, None) for number, (text, pair) in numbered]


def outputs(config: "BertConfig") -> str:
    """What the one output of a model is, which its label does not say."""
    if config.num_labels > 1:
        return ""
    if config.problem_type is None:
        return " (one output: a regression, as no problem_type says otherwise; see --problem-type)"
    return f" (one output: {'a probability' if config.is_sigmoid else 'a regression'})"


def introduced(args: argparse.Namespace) -> "Classifier":
    """The classifier; says on stderr what was loaded and what to beware of."""
    classifier = loaded(args)
    tokenizer, config = classifier.tokenizer, classifier.config
    labels = f"labels {', '.join(config.labels)}{outputs(config)}" if config.labels else "no labels"
    labels = f"filled by one of {config.vocab_size} word pieces" if config.task == MASKED else labels
    for_task = "" if config.task == TEXT_LABELS else f"{config.task.replace('_', ' ')}, "
    note(
        args,
        f"{classifier.name}: {config.num_hidden_layers} layers of width {config.hidden_size}, {for_task}"
        f"{labels}; tokenizer {'cased' if tokenizer.cased else 'uncased'} ({tokenizer.why})",
    )
    return classifier
