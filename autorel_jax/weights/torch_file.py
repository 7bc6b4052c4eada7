"""Torch files: `pytorch_model.bin`, or any state dict of torch.save -> a NumPy array for each name.

Two formats: a zip of one pickle and an entry for each storage, and (before PyTorch 1.6) five pickles and then
the storages. Read without torch, and nothing in the file is executed: see torch_pickle.py.
"""

import dataclasses
import math
import sys
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from autorel_jax.weights.disk import AGAIN, Refused, open_weights, read_span, shown, size_of
from autorel_jax.weights.torch_names import Storage, Tensor
from autorel_jax.weights.torch_pickle import Machine, Stream

WRAPPERS = ("state_dict", "model_state_dict", "model")  # where training scripts keep it, in this order
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MAX_REPEATED = 2**24  # elements of a tensor that repeats its storage, as an expanded buffer does


@dataclasses.dataclass(frozen=True)
class Saved:
    """What torch.save wrote: the object, and where each storage lies: key -> (offset, bytes)."""

    value: Any
    spans: dict[str, tuple[int, int]]
    byteorder: str = "little"


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Reads the state dict in a file of torch.save; the names are those in the file.

    The state dict is the saved object, or lies in it under one of WRAPPERS. The arrays are read-only views of
    the storages, as in torch: tied tensors share memory, and a transposed one is not contiguous.

    Raises:
      InputError: the file cannot be used; one line that names the file and, where it is at fault, the tensor.
    """
    with open_weights(path) as file:
        saved = read_saved(file)
        tensors = state_dict(saved.value)
        storages = Storages(file, saved)
        return {name: storages.view(name, tensor) for name, tensor in tensors.items()}


def state_dict(value: Any) -> dict[str, Tensor]:
    """The saved object -> its state dict, or a refusal that names the first entry that is no tensor."""
    if isinstance(value, dict):
        value = next((value[key] for key in WRAPPERS if isinstance(value.get(key), dict)), value)
    if not isinstance(value, dict):
        raise Refused(f"holds a {type(value).__name__.lower()}, not a state dict; save model.state_dict().")
    for name, tensor in value.items():
        if not (isinstance(name, str) and isinstance(tensor, Tensor)):
            raise Refused(
                f"holds a {type(tensor).__name__.lower()} under {shown(name)}; a state dict (the whole file, "
                f"or in it {', '.join(WRAPPERS)}) has tensors only: save model.state_dict()."
            )
    return value


def read_saved(file: BinaryIO) -> Saved:
    """Tells the two formats apart by the first bytes."""
    head = file.read(9)
    if head.startswith(b"PK\x03\x04"):
        return read_zip(file)
    if head.startswith(b"\x80"):
        return read_legacy(file)
    hint = " It looks like safetensors: name it *.safetensors." if head[8:] == b"{" else ""
    raise Refused(f"is not a file of torch.save: it begins with {head[:4]!r}.{hint}")


# ---- the legacy format ----


def read_legacy(file: BinaryIO) -> Saved:
    """Magic number, protocol, system, object, list of keys as pickles; then each storage after its count."""
    size, position, values = size_of(file), 0, []
    storages: dict[str, Storage] = {}
    for i in range(5):
        machine = Machine(Stream(file, position, size))
        values.append(machine.run())
        position, storages = machine.stream.position, storages | machine.storages
        if i < 2 and values[i] != (LEGACY_MAGIC, LEGACY_PROTOCOL)[i]:
            raise Refused("is not a file of torch.save: its pickle has not torch's magic number and protocol.")
    keys = values[4]
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in storages for key in keys):
        raise Refused(f"is damaged: its list of storages does not fit its state dict; {AGAIN}")
    return Saved(values[3], legacy_spans(file, position, [storages[key] for key in keys]))


def legacy_spans(file: BinaryIO, position: int, storages: list[Storage]) -> dict[str, tuple[int, int]]:
    """Walks the storages: an int64 count of elements (little-endian, as these always are), and the bytes."""
    spans, size = {}, size_of(file)
    for storage in storages:
        count = int.from_bytes(read_span(file, position, 8), "little")
        spans[storage.key] = (position + 8, count * storage.itemsize)
        position = sum(spans[storage.key])
        if position > size:
            raise Refused(f"is cut short: storage {shown(storage.key)} ends at byte {position} of {size}; {AGAIN}")
        if count != storage.total:
            raise Refused(f"is damaged: storage {shown(storage.key)} has a false count of elements; {AGAIN}")
    return spans


# ---- the zip format ----


def read_zip(file: BinaryIO) -> Saved:
    """`NAME/data.pkl`, `NAME/byteorder` (may be absent: little) and `NAME/data/KEY` for each storage."""
    entries = zip_entries(file)
    pickles = sorted((name for name in entries if name.endswith("/data.pkl")), key=len)
    if not pickles:
        raise Refused("is a zip file but not one of torch.save: it has no data.pkl. Give a file of torch.save.")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in entries:
        raise Refused("is a TorchScript archive (torch.jit.save); save model.state_dict() with torch.save.")
    offset, count = zip_span(file, entries[pickles[0]])
    value = Machine(Stream(file, offset, offset + count)).run()
    data = f"{folder}data/"
    spans = {name.removeprefix(data): zip_span(file, entry) for name, entry in entries.items() if name.startswith(data)}
    return Saved(value, spans, zip_byteorder(file, entries.get(f"{folder}byteorder")))


def zip_entries(file: BinaryIO) -> dict[str, zipfile.ZipInfo]:
    """The zip's directory. Entries are then read raw: torch may leave false checksums (set_crc32_options)."""
    try:
        with zipfile.ZipFile(file) as archive:
            return {entry.filename: entry for entry in archive.infolist()}
    except Exception as error:  # zipfile raises half a dozen kinds for a damaged directory
        raise Refused(
            f"is cut short or damaged: its zip directory cannot be read ({shown(str(error))}); {AGAIN}"
        ) from None


def zip_span(file: BinaryIO, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """The bytes of an entry: they begin after its local header, whose name and extra field vary in length."""
    size, name = size_of(file), shown(entry.filename)
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise Refused(f"has a compressed or encrypted entry {name}, which torch.save never writes; give its own file.")
    header = read_span(file, entry.header_offset, 30).tobytes() if 0 <= entry.header_offset < size else b""
    if not header.startswith(b"PK\x03\x04") or len(header) < 30:
        raise Refused(f"is damaged: its zip entry {name} has no header; {AGAIN}")
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    offset = entry.header_offset + 30 + lengths
    if offset + entry.file_size > size:
        raise Refused(f"is cut short or damaged: its zip entry {name} ends beyond byte {size}; {AGAIN}")
    return offset, entry.file_size


def zip_byteorder(file: BinaryIO, entry: zipfile.ZipInfo | None) -> str:
    """`little` or `big`."""
    if entry is None:
        return "little"
    offset, count = zip_span(file, entry)
    order = read_span(file, offset, min(count, 16)).tobytes()
    if order not in (b"little", b"big"):
        raise Refused(f"is damaged: its byteorder is {order!r}, expected little or big; {AGAIN}")
    return order.decode()


# ---- arrays ----


class Storages:
    """The storages of an open file, each read once and when first needed."""

    def __init__(self, file: BinaryIO, saved: Saved):
        self.file, self.saved = file, saved
        # Bytes not yet read: entries that overlap cannot claim more memory than the file has bytes.
        self.left = size_of(file)
        self.arrays: dict[tuple[str, int], np.ndarray] = {}

    def view(self, name: str, tensor: Tensor) -> np.ndarray:
        """The tensor as a read-only view of its storage."""
        if tensor.lazy:
            raise Refused(f"has {shown(name)} as a {tensor.lazy} view; save it after resolve_{tensor.lazy}().")
        storage, width = tensor.storage, tensor.dtype.itemsize
        raw = self.part(name, storage, tensor.dtype)
        where = f"{shown(name)} of shape {shape_of(tensor)}"
        if math.prod(tensor.shape) > max(MAX_REPEATED, raw.size // width):
            raise Refused(f"has {where}, far more than its storage of {storage.count} elements; {AGAIN}")
        try:
            strides = tuple(stride * width for stride in tensor.strides)
            array = np.ndarray(tensor.shape, tensor.dtype, raw, tensor.offset * width, strides)
        except (ValueError, TypeError, OverflowError):
            text = f"is damaged: {where} reaches beyond its storage of {storage.count} elements; {AGAIN}"
            raise Refused(text) from None
        array.setflags(write=False)
        return array

    def part(self, name: str, storage: Storage, dtype: np.dtype) -> np.ndarray:
        """The bytes of a storage, or of the part that an old file calls a storage of its own."""
        parts = 2 if dtype.kind == "c" else 1
        raw = self.whole(name, storage.key, 1 if self.saved.byteorder == sys.byteorder else dtype.itemsize // parts)
        start, stop = storage.start * storage.itemsize, (storage.start + storage.count) * storage.itemsize
        if stop > raw.size:
            raise Refused(f"is damaged: {shown(name)} has {raw.size} of its storage's {stop} bytes; {AGAIN}")
        return raw[start:stop]

    def whole(self, name: str, key: str, swap: int) -> np.ndarray:
        """The bytes of a whole storage, each group of `swap` bytes reversed."""
        if key not in self.saved.spans:
            raise Refused(f"is damaged: the storage {shown(key)} of {shown(name)} is missing; {AGAIN}")
        if (key, swap) not in self.arrays:
            offset, count = self.saved.spans[key]
            self.left -= count
            if self.left < 0 or count % swap:
                raise Refused(f"is damaged: the storage of {shown(name)} overlaps another or is uneven; {AGAIN}")
            raw = read_span(self.file, offset, count)
            self.arrays[key, swap] = raw.reshape(-1, swap)[:, ::-1].reshape(-1) if swap > 1 else raw
        return self.arrays[key, swap]


def shape_of(tensor: Tensor) -> str:
    """The shape, short enough for a message."""
    return str(tensor.shape[:6]) + (" ..." if len(tensor.shape) > 6 else "")
