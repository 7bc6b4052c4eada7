"""Sources: what a user names as input (files, directories, globs, standard input, a data set) -> a Corpus of rows.

A Corpus is read from its beginning as often as asked for, and tells whether it is the one that it was. The readers are
imported where a source is opened: texts of the command line need none. Used by cli/explain.py and corpus/.
"""

import dataclasses
import glob
import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.data.kinds import HF, IN_FOLDERS, STDIN, STDIN_NAME, SUFFIXES, TFDS, suffix_of
from autorel_jax.data.row import ROW_FAULTS, Columns, Rejected, Row, reason_of, reject
from autorel_jax.errors import InputError
from autorel_jax.files import is_pipe, version_of
from autorel_jax.foreign import fault_in

ENDS = tuple({"/", os.sep})  # of a folder's name
WILD = set("*?[")  # what makes a name a pattern
FILE_NAME = re.compile(r".*[^./\\]\.[A-Za-z][A-Za-z0-9]{1,7}", re.ASCII)  # with a suffix; not U.S., 3.5 or "no..."


@dataclasses.dataclass(frozen=True)
class Source:
    """One file, standard input or one split of a data set."""

    name: str
    rows: Callable[[], Iterator[Row | Rejected]]  # from the beginning
    state: Any  # JSON; another one means that the rows may be others
    path: Path | None = None  # of a file
    note: str | None = None  # what was assumed of it
    state_now: Callable[[], Any] | None = None  # what `state` would be if it were opened now
    again: bool = True  # whether it can be read again, which standard input and pipes cannot


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The rows of one or more sources, one source after the other."""

    sources: tuple[Source, ...]
    columns: Columns = dataclasses.field(default_factory=Columns)
    again: bool = True  # whether all of them can be read again
    left_out: tuple[str, ...] = ()  # files of the folders that are outputs, and not read for that reason

    @property
    def state(self) -> Any:
        """What tells whether these are the rows that they were: names, sizes, times of change, columns."""
        columns = [self.columns.text, self.columns.pair, self.columns.label, self.columns.id, *self.columns.keep]
        sources = [[source.name, source.state] for source in self.sources]
        return {"sources": sources, "columns": columns + self.columns.layout}

    def rows(self) -> Iterator[Row | Rejected]:
        """All rows in order; one whose text is empty, or that holds a lone surrogate, is Rejected.

        Raises:
          InputError: a source cannot be read, or they hold no row at all.
        """
        rows = itertools.chain.from_iterable(source.rows() for source in self.sources)
        none = True
        for row in rows:
            none = False
            yield row if isinstance(row, Rejected) else checked(row, self.columns.keep)
        if none:
            names = self.sources[0].name if len(self.sources) == 1 else f"Each of the {len(self.sources)} files"
            raise InputError(f"{names} is empty: it holds no text to explain.")

    def check_unchanged(self) -> None:
        """Raises InputError where a source is not the one that was opened: rows may be missing or mixed."""
        for source in self.sources:
            if source.state_now is not None and source.state_now() != source.state:
                raise InputError(f"{source.name} changed while it was read; begin anew when nothing writes to it.")

    def holds(self, path: Path) -> bool:
        """Whether that file is one of its own."""
        files = [source.path for source in self.sources if source.path and source.path.exists()]
        return path.exists() and any(path.samefile(file) for file in files)


def checked(row: Row, keep: Sequence[str] = ()) -> Row | Rejected:
    """The row itself, or Rejected where it has no text, or what no output can hold; `keep` names what it has kept."""
    try:
        fault = fault_of(row, keep)
    except ROW_FAULTS as error:
        fault = reason_of(error, "checked")
    return reject(row, fault) if fault else row


def fault_of(row: Row, keep: Sequence[str]) -> str | None:
    """What is wrong with a row, None if nothing is."""
    texts = {"text": row.text, "pair": row.pair}
    texts = {
        name: value if isinstance(value, str) else " ".join(value) for name, value in texts.items() if value is not None
    }
    for name, text in texts.items():
        if not text.strip():
            return f"the {name} is empty."
    values = texts | {"id": row.id, "label": row.label}
    values |= {f"column {name!r}": value for name, value in zip(keep, row.kept, strict=True)}
    for name, value in values.items():
        if fault := fault_in(value):
            return f"the {name} has {fault}."
    return None


def is_source(text: str) -> bool:
    """Whether an argument names a source: `-`, a data set, a file or folder that exists, or what looks like one.

    That is one word with a suffix, a pattern, or a name that ends in a slash.
    """
    if text == STDIN or text.startswith((TFDS, HF)) or os.path.isfile(text):
        return True
    if len(text.split()) != 1 or "\0" in text:
        return False
    is_pattern = "/" in text and ("*" in text or "[" in text)  # "and/or?" is a text
    is_path = suffix_of(text) in SUFFIXES or FILE_NAME.fullmatch(text) or text.endswith(ENDS)  # "reveiws/" too
    return bool(is_path) or is_pattern or (len(text) < 1024 and os.path.isdir(text))


def open_corpus(
    names: Sequence[str | Path] | str | Path,
    columns: Columns | None = None,
    *,
    encoding: str = "utf-8",
    split: str | None = None,
    data_dir: Path | None = None,
) -> Corpus:
    """The corpus of those sources.

    Args:
      names: one or several, each a file (SUFFIXES in kinds.py, compressed or not), a folder with such files at any
        depth (outputs of ours are left out), a pattern such as `reviews/*.csv`, `tfds:NAME`, or `hf:NAME` or
        `hf:NAME:CONFIG`; or `-` alone for standard input.
      columns: what is where in the files.
      encoding: of the files.
      split: of a data set.
      data_dir: the folder of prepared TensorFlow data sets.

    Raises:
      InputError: there is no such source, or it is there twice.
    """
    from autorel_jax.data.lines import check_encoding

    columns = columns or Columns()
    check_encoding(encoding)
    names = [str(name) for name in ([names] if isinstance(names, str | Path) else names)]
    if STDIN in names and len(names) > 1:
        raise InputError(f"{STDIN} is a source of its own; give it alone.")
    check_sets(names, split, data_dir)
    sources, left_out = [], []
    for name in names:
        if name.startswith((TFDS, HF)):
            if split is None:
                raise InputError(f"{name} needs --split NAME, for instance validation.")
            is_hf = name.startswith(HF)
            sources.append(hf_set(name, split, columns) if is_hf else data_set(name, split, data_dir, columns))
        else:
            taken, left = without_outputs(name)
            sources += [file(path, columns, encoding) for path in taken]
            left_out += left
    check_once(sources)
    return Corpus(tuple(sources), columns, all(source.again for source in sources), tuple(left_out))


def check_once(sources: Sequence[Source]) -> None:
    """Raises InputError for a source that is named twice, also by a folder or a pattern."""
    seen: set[str] = set()
    for source in sources:
        place = source.name if source.path is None else os.path.abspath(source.path)
        if place in seen:
            raise InputError(f"{source.name} is named twice, so that its texts would count twice; give it once.")
        seen.add(place)


def check_sets(names: Sequence[str], split: str | None, data_dir: Path | None) -> None:
    """Raises InputError for what says which data set is read where none is."""
    if split is not None and not any(name.startswith((TFDS, HF)) for name in names):
        raise InputError(f"--split {split} is of a data set, {TFDS}NAME or {HF}NAME; leave it out.")
    if data_dir is not None and not any(name.startswith(TFDS) for name in names):
        raise InputError(f"--data-dir {data_dir} is of prepared data sets, {TFDS}NAME; leave it out.")


def of_texts(rows: Sequence[Row]) -> Corpus:
    """The corpus of rows that are in memory."""
    content = json.dumps([[row.id, row.text, row.pair, row.label] for row in rows])
    state = hashlib.sha256(content.encode()).hexdigest()
    return Corpus((Source("the texts", lambda: iter(rows), state),))


def files(name: str) -> list[str]:
    """The files that a name stands for, sorted: itself, those of a folder, those that match a pattern."""
    from autorel_jax.data.by_products import is_by_product

    if name == STDIN or os.path.isfile(name):
        return [name]
    if WILD & set(name) and not os.path.exists(name):
        matches = sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))
        matches = [path for path in matches if suffix_of(path) in SUFFIXES and not is_by_product(Path(path))]
        if not matches:
            raise InputError(f"No file matches {name}; accepted: files that end in {', '.join(SUFFIXES)}.")
        return matches
    if not os.path.isdir(name):
        if name.endswith(ENDS):
            raise InputError(f"{name} is no folder that exists; give one with files that end in {', '.join(SUFFIXES)}.")
        return [name]  # where it is opened it is refused
    inside = sorted(path for path in Path(name).rglob("*") if suffix_of(path) in IN_FOLDERS and path.is_file())
    inputs = [str(path) for path in inside if not is_by_product(path.relative_to(name))]
    if not inputs:
        raise InputError(f"{name} holds no file to explain; accepted: files that end in {', '.join(IN_FOLDERS)}.")
    return inputs


def without_outputs(name: str) -> tuple[list[str], list[str]]:
    """The files that a name stands for, and those of a folder that are left out as outputs."""
    from autorel_jax.data.by_products import is_output

    paths = files(name)
    left = [path for path in paths if is_output(Path(path))] if os.path.isdir(name) else []
    if left and len(left) == len(paths):
        raise InputError(
            f"{name} holds nothing but outputs, such as {left[0]}; to explain such a file, name it itself."
        )
    return [path for path in paths if path not in set(left)], left


def file(name: str, columns: Columns, encoding: str) -> Source:
    """The source of a file, or of standard input."""
    from autorel_jax.data.assumed import assumed
    from autorel_jax.data.rows import read_rows

    read_rows(name, columns, encoding)  # refuses now what is no file, and reads nothing yet
    if name != STDIN and is_pipe(Path(name)):
        if not Path(name).is_fifo() or suffix_of(name) == ".parquet":
            raise InputError(f"{name} is no regular file; give a file, or pipe its lines to standard input (-).")
        return Source(name, lambda: read_rows(name, columns, encoding), None, again=False)
    mark, note = assumed(name, columns, encoding)
    if mark is not None:
        columns = dataclasses.replace(columns, delimiter=mark)
    if name == STDIN:
        return Source(STDIN_NAME, lambda: read_rows(name, columns, encoding), None, note=note, again=False)
    place = os.path.abspath(name)

    def state() -> list[Any]:
        return [place, *version_of(Path(name)), encoding]

    return Source(name, lambda: read_rows(name, columns, encoding), state(), Path(name), note, state)


def hf_set(name: str, split: str, columns: Columns) -> Source:
    """The source of a split of a Hugging Face data set."""
    from autorel_jax.data import hf
    from autorel_jax.data.rows import read_hf

    bare = name.removeprefix(HF)
    made = hf.builder(bare)  # once: on the hub it asks for what there is, and finds one version of it
    hf.check(made, bare, split, columns.wanted)
    local = os.path.isdir(bare.partition(":")[0])

    def state() -> list[Any]:
        return [split, hf.state(hf.builder(bare))]

    # On the hub, all rows are of the commit that was found.
    again = state if local else None
    return Source(name, lambda: read_hf(made, bare, split, columns), [split, hf.state(made)], state_now=again)


def data_set(name: str, split: str, folder: Path | None, columns: Columns) -> Source:
    """The source of a split of a TensorFlow data set."""
    from autorel_jax.data import tfds
    from autorel_jax.data.rows import read_tfds

    bare = name.removeprefix(TFDS)
    folder = folder or Path.home() / "tensorflow_datasets"
    read_tfds(bare, split, folder, columns)  # refuses now what is not there
    inside = tfds.data_path(bare, folder)

    def state() -> list[Any]:
        versions = [[path.name, *version_of(path)] for path in sorted(inside.iterdir())]
        return [split, str(folder), versions]

    return Source(name, lambda: read_tfds(bare, split, folder, columns), state(), state_now=state)
