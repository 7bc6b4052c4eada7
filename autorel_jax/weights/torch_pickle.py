"""Torch pickles: the pickle inside a file of torch.save -> its dicts, lists, numbers and `Tensor` records.

A pickle is a program for a stack machine; this machine knows only the instructions in STEPS and the names in
torch_names.py, and Python's own unpickler is not involved. Used by torch_file.py.
"""

import pickletools
import struct
from typing import Any, BinaryIO

from autorel_jax.weights.disk import Refused, shown
from autorel_jax.weights.torch_names import (
    CALLS,
    NOTHING,
    STORAGES,
    Global,
    Storage,
    expect,
    fill,
    resolve,
    whole_numbers,
)

PICKLE_LIMIT = 2**24  # bytes; BERT-base's is about 30 kB, with its optimizer 100 kB


class Stream:
    """Reads of `file` from `start`, never beyond `end` or the limit: a false length cannot claim memory."""

    def __init__(self, file: BinaryIO, start: int, end: int):
        file.seek(start)
        self.file, self.position, self.end = file, start, end
        self.limit = min(end, start + PICKLE_LIMIT)

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        if self.position + count > self.limit:
            raise Refused(self.overrun())
        self.position += count
        return self.file.read(count)

    def line(self) -> str:
        """The text up to the next newline."""
        text = self.file.readline(self.limit - self.position)
        self.position += len(text)
        if not text.endswith(b"\n"):
            raise Refused(self.overrun())
        return text[:-1].decode()

    def number(self, form: str) -> Any:
        """One number, by its struct format."""
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def overrun(self) -> str:
        """The message for a read beyond the end."""
        if self.limit < self.end:
            return f"has a pickle of more than {PICKLE_LIMIT} bytes, which no state dict needs; it was not read."
        return f"is cut short or damaged: its pickle reaches beyond byte {self.end}; copy or download it again."


class Machine:
    """Runs one pickle; `storages` collects the blocks it refers to, by key."""

    def __init__(self, stream: Stream):
        self.stream = stream
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        """The pickled object."""
        while (code := self.stream.read(1)) != b".":
            if code not in STEPS:
                raise Refused(f"uses the pickle instruction {instruction(code)}, which no state dict needs; {NOTHING}")
            step, *extra = STEPS[code]
            try:
                step(self, *extra)
            except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error):
                raise Refused(
                    f"is damaged: its pickle fails at byte {self.stream.position} ({instruction(code)}); "
                    "copy or download it again."
                ) from None
        if not self.stack:
            raise Refused("is damaged: its pickle holds nothing; copy or download it again.")
        return self.stack.pop()

    def pop_marked(self) -> list[Any]:
        """Takes all that was pushed since the last mark."""
        height = self.marks.pop()
        items = self.stack[height:]
        del self.stack[height:]
        return items


def instruction(code: bytes) -> str:
    """The instruction's name in Python's documentation."""
    known = pickletools.code2op.get(code.decode("latin-1"))
    return known.name if known else f"0x{code.hex()}"


def skip(machine: Machine, count: int) -> None:
    """PROTO, FRAME: say how the rest was written."""
    machine.stream.read(count)


def push(machine: Machine, value: Any) -> None:
    """A constant."""
    machine.stack.append(value)


def push_new(machine: Machine, kind: type) -> None:
    """An empty container."""
    machine.stack.append(kind())


def push_number(machine: Machine, form: str) -> None:
    """A number of fixed width."""
    machine.stack.append(machine.stream.number(form))


def push_long(machine: Machine, form: str) -> None:
    """A whole number of any width."""
    raw = machine.stream.read(machine.stream.number(form))
    machine.stack.append(int.from_bytes(raw, "little", signed=True))


def push_bytes(machine: Machine, form: str) -> None:
    """Bytes after their count."""
    machine.stack.append(machine.stream.read(machine.stream.number(form)))


def push_text(machine: Machine, form: str, encoding: str) -> None:
    """Text after its count of bytes."""
    machine.stack.append(machine.stream.read(machine.stream.number(form)).decode(encoding))


def mark(machine: Machine) -> None:
    """Remembers the height of the stack."""
    machine.marks.append(len(machine.stack))


def make_tuple(machine: Machine, count: int | None) -> None:
    """The last `count` values, or all since the mark."""
    items = machine.pop_marked() if count is None else [machine.stack.pop() for _ in range(count)][::-1]
    machine.stack.append(tuple(items))


def append(machine: Machine, marked: bool) -> None:
    """Adds values to the list below them."""
    items = machine.pop_marked() if marked else [machine.stack.pop()]
    expect(machine.stack[-1], list).extend(items)


def set_items(machine: Machine, marked: bool) -> None:
    """Adds pairs to the dict below them."""
    items = machine.pop_marked() if marked else [machine.stack.pop() for _ in range(2)][::-1]
    fill(expect(machine.stack[-1], dict), zip(items[::2], items[1::2], strict=True))


def put(machine: Machine, form: str | None) -> None:
    """Remembers the last value, by a number or (MEMOIZE) by the next free one."""
    number = len(machine.memo) if form is None else machine.stream.number(form)
    machine.memo[number] = machine.stack[-1]


def get(machine: Machine, form: str) -> None:
    """Pushes a remembered value."""
    machine.stack.append(machine.memo[machine.stream.number(form)])


def push_global(machine: Machine, on_stack: bool) -> None:
    """A name that the file refers to: one of ours, or refused."""
    if on_stack:
        module, name = [expect(machine.stack.pop(), str) for _ in range(2)][::-1]
    else:
        module, name = machine.stream.line(), machine.stream.line()
    machine.stack.append(resolve(module, name))


def call(machine: Machine) -> None:
    """REDUCE: the only calls are those of CALLS, all written in torch_names.py."""
    arguments = expect(machine.stack.pop(), tuple)
    function = expect(machine.stack.pop(), Global)
    machine.stack.append(CALLS[function.name](*arguments))


def drop_state(machine: Machine) -> None:
    """BUILD: attributes of a dict, such as a state dict's `_metadata`, are dropped; of all else, refused."""
    machine.stack.pop()
    if not isinstance(machine.stack[-1], dict):
        kind = type(machine.stack[-1]).__name__
        raise Refused(f"sets attributes of a {kind}, which no state dict does; {NOTHING}")


def push_storage(machine: Machine) -> None:
    """BINPERSID: a storage's tag, class, key, device, elements, and in old files its part or None."""
    tag, kind, key, _device, total, *part = expect(machine.stack.pop(), tuple)
    if tag != "storage" or len(part) > 1:
        raise Refused(f"refers to a {shown(tag)} outside its pickle, which no state dict does; {NOTHING}")
    if expect(kind, Global).kind != "storage":
        raise TypeError
    _key, start, count = part[0] if part and part[0] is not None else (None, 0, total)
    storage = Storage(expect(key, str), STORAGES[kind.name], *whole_numbers(total, start, count))
    machine.storages.setdefault(key, storage)
    machine.stack.append(storage)


STEPS = {  # the instruction's byte -> (function, its further arguments)
    b"\x80": (skip, 1),
    b"\x95": (skip, 8),
    b"N": (push, None),
    b"\x88": (push, True),
    b"\x89": (push, False),
    b"}": (push_new, dict),
    b"]": (push_new, list),
    b")": (push, ()),
    b"K": (push_number, "<B"),
    b"M": (push_number, "<H"),
    b"J": (push_number, "<i"),
    b"G": (push_number, ">d"),
    b"\x8a": (push_long, "<B"),
    b"\x8b": (push_long, "<I"),
    b"C": (push_bytes, "<B"),
    b"B": (push_bytes, "<I"),
    b"\x8e": (push_bytes, "<Q"),
    b"U": (push_text, "<B", "latin-1"),  # U and T: text of Python 2
    b"T": (push_text, "<I", "latin-1"),
    b"\x8c": (push_text, "<B", "utf-8"),
    b"X": (push_text, "<I", "utf-8"),
    b"\x8d": (push_text, "<Q", "utf-8"),
    b"(": (mark,),
    b"t": (make_tuple, None),
    b"\x85": (make_tuple, 1),
    b"\x86": (make_tuple, 2),
    b"\x87": (make_tuple, 3),
    b"a": (append, False),
    b"e": (append, True),
    b"s": (set_items, False),
    b"u": (set_items, True),
    b"q": (put, "<B"),
    b"r": (put, "<I"),
    b"\x94": (put, None),
    b"h": (get, "<B"),
    b"j": (get, "<I"),
    b"c": (push_global, False),
    b"\x93": (push_global, True),
    b"R": (call,),
    b"b": (drop_state,),
    b"Q": (push_storage,),
}
