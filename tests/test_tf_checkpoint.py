"""read_tf: real checkpoints of TensorFlow 2.21 (fixtures/), tables made by hand, damaged and hostile ones."""

import lzma
import random
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from models import little_memory, refusal

from autorel_jax.errors import InputError
from autorel_jax.weights.sstable import FOOTER, MAGIC, checksum, masked, read_table
from autorel_jax.weights.tf_checkpoint import read_tf

FIXTURES = Path(__file__).parent / "fixtures"
KERNEL = "bert/encoder/layer_0/attention/self/query/kernel"


def expected():
    with np.load(FIXTURES / "tf_expected.npz") as arrays:
        return dict(arrays)


def assert_is_bert(arrays):
    assert set(arrays) == set(expected())
    for name, array in arrays.items():
        wide = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
        np.testing.assert_array_equal(wide, expected()[name], err_msg=name, strict=True)


def copied(name, folder):
    """A fixture's files in a folder of their own; its prefix there."""
    for path in FIXTURES.glob(f"{name}.*"):
        shutil.copy(path, folder)
    return folder / name


def refused(prefix, file=""):
    """The message, which begins with the name of the file."""
    message = refusal(read_tf, prefix)
    assert message.startswith(f"{prefix}{file} ")
    assert len(message) < 600
    return message


# ---- tables by hand ----


def varint(value):
    head = bytearray()
    while value > 127:
        head.append(value & 127 | 128)
        value >>= 7
    return bytes([*head, value])


def block(items, share=True):
    """Keys and values -> a block; with shared prefixes, as TensorFlow writes them."""
    body, last = b"", b""
    for key, value in items:
        shared = next((i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), len(last)) if share else 0
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return body + struct.pack("<II", 0, 1)


def stored(content, compression=0):
    """A block with its compression and checksum."""
    content += bytes([compression])
    return content + struct.pack("<I", checksum(content))


def write_table(path, items, size=4, compress=None):
    """A sorted table of blocks of `size` entries; `compress` makes them snappy blocks."""
    table, handles, items = b"", [], list(items)
    for start in range(0, len(items), size):
        content = block(items[start : start + size])
        content = compress(content) if compress else content
        handles.append((items[start][0], varint(len(table)) + varint(len(content))))
        table += stored(content, 1 if compress else 0)
    return write_root(path, table, block(handles, share=False))


def write_root(path, table, root):
    footer = varint(0) + varint(0) + varint(len(table)) + varint(len(root))
    path.write_bytes(table + stored(root) + footer.ljust(FOOTER - len(MAGIC), b"\0") + MAGIC)
    return path


def message(*parts):
    """(tag, value) pairs -> a protocol buffer; 6 is the checksum, of fixed width."""
    raw = b""
    for tag, value in parts:
        if isinstance(value, bytes):
            raw += varint(tag << 3 | 2) + varint(len(value)) + value
        elif tag == 6:
            raw += varint(tag << 3 | 5) + struct.pack("<I", value)
        else:
            raw += varint(tag << 3) + varint(value)
    return raw


def shape(*sizes):
    return b"".join(message((2, message((1, size)))) for size in sizes)


HEADER = message((1, 1), (3, message((1, 1))))
DATA = np.arange(4, dtype=np.float32)
GOOD = {1: 1, 2: shape(4), 5: 16, 6: checksum(DATA.view(np.uint8))}  # an entry for DATA


def write_checkpoint(folder, entries, header=HEADER):
    """A checkpoint of one shard from raw entries; its prefix."""
    items = {b"": header} | {name.encode(): raw for name, raw in entries.items()}
    write_table(folder / "x.ckpt.index", sorted(items.items()))
    (folder / "x.ckpt.data-00000-of-00001").write_bytes(DATA.tobytes())
    return folder / "x.ckpt"


def entry(**changes):
    """A good entry, some of whose fields (t1, t2 ...) differ."""
    return message(*(GOOD | {int(tag[1:]): value for tag, value in changes.items()}).items())


# ---- checksums ----


POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed; the x^32 is implied


def plain_crc(data):
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (POLYNOMIAL if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def test_checksums_of_the_standard():
    """RFC 3720, appendix B.4, and the usual check value."""
    assert checksum(np.frombuffer(b"123456789", np.uint8)) == masked(0xE3069283)
    assert checksum(np.zeros(32, np.uint8)) == masked(0x8A9136AA)
    assert checksum(np.full(32, 255, np.uint8)) == masked(0x62A8AB43)
    assert checksum(np.arange(32, dtype=np.uint8)) == masked(0x46DD794E)
    assert checksum(np.zeros(0, np.uint8)) == masked(0)


@pytest.mark.parametrize("size", [1, 3, 1000, 5000, 300_000])
def test_a_checksum_is_the_plain_algorithm(size):
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    kept = data.copy()
    assert checksum(data) == checksum(data.tobytes()) == masked(plain_crc(data.tolist()))
    np.testing.assert_array_equal(data, kept)


# ---- real checkpoints ----


@pytest.mark.parametrize("name", ["tf_bert.ckpt", "tf_shards.ckpt"])
def test_reads_real_checkpoints(name):
    arrays = read_tf(FIXTURES / name)
    assert_is_bert(arrays)
    for key in (key for key in arrays if key.startswith("dtype/")):
        assert arrays[key].dtype.name == key.removeprefix("dtype/")
    assert arrays["global_step"].shape == ()
    assert not arrays[KERNEL].flags.writeable


def test_an_index_of_many_blocks(tmp_path):
    for path in FIXTURES.glob("tf_many.*.xz"):
        suffix = ".index" if "index" in path.name else ".data-00000-of-00001"
        (tmp_path / f"many{suffix}").write_bytes(lzma.decompress(path.read_bytes()))
    arrays = read_tf(tmp_path / "many")
    assert arrays == {f"{i:04d}/{'name/' * 60}": i for i in range(2000)}


def test_a_tf2_object_checkpoint_without_its_graph():
    arrays = read_tf(FIXTURES / "tf_object.ckpt")
    assert list(arrays) == ["model/kernel/.ATTRIBUTES/VARIABLE_VALUE"]
    np.testing.assert_array_equal(next(iter(arrays.values())), expected()[KERNEL], strict=True)


def test_text_is_left_out():
    assert list(read_tf(FIXTURES / "tf_text.ckpt")) == ["weight"]


def test_slices_are_refused():
    assert "has 'split/kernel' in slices" in refused(FIXTURES / "tf_slices.ckpt", ".index")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_real_index_in_snappy_blocks(size, tmp_path):
    cramjam = pytest.importorskip("cramjam")
    prefix = copied("tf_bert.ckpt", tmp_path)
    index = Path(f"{prefix}.index")
    compress = lambda content: bytes(cramjam.snappy.compress_raw(content))  # noqa: E731
    write_table(index, read_table(index).items(), size, compress)
    assert_is_bert(read_tf(prefix))


def test_snappy_without_its_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cramjam", None)
    write_table(tmp_path / "x.ckpt.index", [(b"", HEADER)], compress=bytes)
    assert "pip install 'autorel-jax[snappy]'" in refused(tmp_path / "x.ckpt", ".index")


@pytest.mark.parametrize("content", [b"\xff\xff\xff\xff\x0f", b"\x10abc", b"", b"\xff" * 20])
def test_snappy_blocks_that_cannot_be(content, tmp_path):
    pytest.importorskip("cramjam")
    write_table(tmp_path / "x.ckpt.index", [(b"", HEADER)], compress=lambda _: content)
    with little_memory():
        assert "is damaged" in refused(tmp_path / "x.ckpt", ".index")


# ---- what is refused ----


def test_paths_that_are_no_checkpoint(tmp_path):
    assert "such as DIR/bert_model.ckpt." in refused(tmp_path / "absent.ckpt", ".index")
    prefix = copied("tf_bert.ckpt", tmp_path)
    for path in (tmp_path, tmp_path / "other", Path(f"{prefix}.index")):
        with pytest.raises(InputError, match=f"does not exist.* such as {prefix}\\.$"):
            read_tf(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a git-lfs pointer"),
        (b"x" * 100, "is not the index of a TensorFlow checkpoint"),
        (MAGIC, "is not the index of a TensorFlow checkpoint"),
        (b"\xff" * 40 + MAGIC, "is damaged: a number does not end"),
        (b"\x7f" * 40 + MAGIC, "is damaged: a block reaches beyond byte 0"),
    ],
)
def test_other_indexes(content, what, tmp_path):
    (tmp_path / "x.ckpt.index").write_bytes(content)
    assert what in refused(tmp_path / "x.ckpt", ".index")


def test_a_missing_shard(tmp_path):
    prefix = copied("tf_shards.ckpt", tmp_path)
    Path(f"{prefix}.data-00001-of-00003").unlink()
    assert "does not exist" in refused(prefix, ".data-00001-of-00003")


def test_a_wrong_byte_names_its_tensor(tmp_path):
    prefix = copied("tf_bert.ckpt", tmp_path)
    shard = Path(f"{prefix}.data-00000-of-00001")
    raw = bytearray(shard.read_bytes())
    raw[0] ^= 1
    shard.write_bytes(raw)
    name = "'bert/embeddings/word_embeddings'"
    assert f"the checksum of tensor {name} is wrong" in refused(prefix, ".data-00000-of-00001")
    shard.write_bytes(raw[:50])
    assert f"is cut short: tensor {name} ends beyond byte 50" in refused(prefix, ".data-00000-of-00001")


def test_a_table_by_hand_is_read(tmp_path):
    """So that what the next tests change is what is refused."""
    np.testing.assert_array_equal(read_tf(write_checkpoint(tmp_path, {"a": entry()}))["a"], DATA, strict=True)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (entry(t1=21), "has tensor 'a' of TensorFlow's type 21; accepted: float32, float64"),
        (entry(t1=b"x"), "has tensor 'a' of TensorFlow's type"),
        (entry(t2=shape(5)), "the shape, size and shard of tensor 'a' do not fit"),
        (entry(t2=shape(*[1] * 33, 4)), "do not fit"),
        (entry(t2=shape(2**62), t5=2**62), "do not fit"),
        (entry(t2=shape(2**64 - 1)), "a count is negative"),
        (entry(t2=3), "a number stands where a message is due"),
        (entry(t2=message((2, 3))), "a number stands where a message is due"),
        (entry(t3=1), "do not fit"),
        (entry(t5=b"x"), "no number"),
        (entry()[:-1], "a field reaches beyond its message"),
        (b"\x0b", "wire type 3"),
        (b"\xff" * 11, "a number does not end"),
    ],
)
def test_entries_that_cannot_be(raw, what, tmp_path):
    with little_memory():
        assert what in refused(write_checkpoint(tmp_path, {"a": raw}), ".index")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"t4": 4}, "is cut short: tensor 'a' ends beyond byte 16"),
        ({"t2": shape(2**40), "t5": 2**42}, "is cut short"),
        ({"t6": 0}, "the checksum of tensor 'a' is wrong"),
        ({"t2": shape(0, 2**62), "t5": 0, "t6": masked(0)}, "tensor 'a' has an impossible shape"),
    ],
)
def test_entries_that_do_not_fit_their_shard(changes, what, tmp_path):
    with little_memory():
        assert what in refused(write_checkpoint(tmp_path, {"a": entry(**changes)}), ".data-00000-of-00001")


def test_tensors_that_overlap(tmp_path):
    prefix = write_checkpoint(tmp_path, {"a": entry(), "b": entry()})
    assert "tensor 'b' overlaps the one before" in refused(prefix, ".data-00000-of-00001")


def test_headers_that_cannot_be(tmp_path):
    assert "is big-endian" in refused(write_checkpoint(tmp_path, {}, message((1, 1), (2, 1))), ".index")
    write_table(tmp_path / "x.ckpt.index", [(b"a", entry())])
    assert "it has no header" in refused(tmp_path / "x.ckpt", ".index")


def test_names_that_are_no_text_are_shown(tmp_path):
    write_table(tmp_path / "x.ckpt.index", [(b"", HEADER), (b"a\n\xff", entry(t1=21))])
    assert r"'a\n\\xff'" in refused(tmp_path / "x.ckpt", ".index")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\0" * 4, "is damaged: it has no header"),
        (b"\0\0\0\xff", "shorter than its list of restart points"),
        (b"\x01\0\0a" + b"\0" * 4, "an entry reaches beyond its block"),
        (b"\0\x7f\x7fa" + b"\0" * 4, "an entry reaches beyond its block"),
        (b"\xff" * 12 + b"\0" * 4, "a number does not end"),
    ],
)
def test_blocks_that_cannot_be(content, what, tmp_path):
    table = stored(content)
    write_root(tmp_path / "x.ckpt.index", table, block([(b"", varint(0) + varint(len(content)))]))
    assert what in refused(tmp_path / "x.ckpt", ".index")


def test_blocks_that_are_used_twice_or_of_unknown_compression(tmp_path):
    content = block([(b"", HEADER)])
    twice = block([(b"a", varint(0) + varint(len(content))), (b"b", varint(0) + varint(len(content)))])
    write_root(tmp_path / "x.ckpt.index", stored(content), twice)
    assert "its blocks overlap" in refused(tmp_path / "x.ckpt", ".index")
    write_root(tmp_path / "x.ckpt.index", stored(content, 4), block([(b"", varint(0) + varint(len(content)))]))
    assert "compression 4 is unknown" in refused(tmp_path / "x.ckpt", ".index")


def test_long_names_that_share_all_but_a_byte(tmp_path):
    """Ten thousand entries of four bytes whose names have 100 kB each would be a gigabyte."""
    long = varint(0) + varint(100_000) + varint(0) + b"a" * 100_000
    content = long + (varint(100_000) + varint(0) + varint(0)) * 10_000 + b"\0" * 4
    write_root(tmp_path / "x.ckpt.index", stored(content), block([(b"", varint(0) + varint(len(content)))]))
    with little_memory():
        assert "its names take more than" in refused(tmp_path / "x.ckpt", ".index")


# ---- damage ----


@pytest.mark.parametrize("file", ["tf_bert.ckpt.index", "tf_bert.ckpt.data-00000-of-00001", "tf_shards.ckpt.index"])
def test_a_file_cut_anywhere_is_refused(file, tmp_path):
    prefix = copied(file.partition(".ckpt")[0] + ".ckpt", tmp_path)
    content = (tmp_path / file).read_bytes()
    for end in range(len(content)):
        (tmp_path / file).write_bytes(content[:end])
        refused(prefix, file.removeprefix(prefix.name))


def outcome(prefix):
    """The arrays, or the message of the InputError; whatever else is raised fails the test."""
    try:
        return read_tf(prefix)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("file", ["tf_bert.ckpt.index", "tf_bert.ckpt.data-00000-of-00001"])
def test_flipped_bytes_never_crash(file, tmp_path):
    prefix, rng = copied("tf_bert.ckpt", tmp_path), random.Random(0)
    content = (tmp_path / file).read_bytes()
    with little_memory():
        for _ in range(500):
            raw = bytearray(content)
            for _ in range(rng.randint(1, 8)):
                raw[rng.randrange(len(raw))] ^= rng.randint(1, 255)
            (tmp_path / file).write_bytes(raw)
            result = outcome(prefix)
            assert isinstance(result, str) or "index" in file, "a wrong byte in the data has a wrong checksum"
            assert isinstance(result, dict) or "\n" not in result


def test_flipped_entries_never_crash(tmp_path):
    """The same with checksums that fit: what a hostile file would have."""
    prefix, rng = copied("tf_bert.ckpt", tmp_path), random.Random(0)
    index = Path(f"{prefix}.index")
    table = read_table(index)
    with little_memory():
        for _ in range(500):
            items = {key: bytearray(value) for key, value in table.items()}
            for value in rng.sample(list(items.values()), 3):
                value[rng.randrange(len(value))] ^= rng.randint(1, 255)
            write_table(index, items.items())
            result = outcome(prefix)
            assert isinstance(result, dict) or "\n" not in result


# ---- live ----


@pytest.mark.parity
def test_parity_with_tensorflow():
    tf = pytest.importorskip("tensorflow")
    for name in ("tf_bert.ckpt", "tf_shards.ckpt", "tf_object.ckpt"):
        reader = tf.train.load_checkpoint(str(FIXTURES / name))
        for key, array in read_tf(FIXTURES / name).items():
            np.testing.assert_array_equal(array, reader.get_tensor(key), strict=True)
