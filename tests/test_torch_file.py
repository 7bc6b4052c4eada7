"""read_torch: real files of PyTorch 2.13 (fixtures/), files made by hand, damaged and hostile ones."""

import copy
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from models import little_memory, refusal

from autorel_jax.errors import InputError
from autorel_jax.weights import torch_pickle
from autorel_jax.weights.torch_file import read_torch

FIXTURES = Path(__file__).parent / "fixtures"
FORMATS = ["zip", "legacy"]
SMALL = np.arange(6, dtype=np.float32).reshape(2, 3).T

# ---- an assembler of pickles ----

TRUE, FALSE, NONE = b"\x88", b"\x89", b"N"


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def whole(value):
    raw = value.to_bytes(17, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def name(dotted):
    module, _, attribute = dotted.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def tup(*items):
    return b"(" + b"".join(items) + b"t"


def call(dotted, *arguments):
    return name(dotted) + tup(*arguments) + b"R"


def dictionary(**items):
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def storage(count, *part, key="0", kind="torch.FloatStorage"):
    return tup(text("storage"), name(kind), text(key), text("cpu"), whole(count), *part) + b"Q"


def tensor(source, shape, strides, offset=0, *more, function="_rebuild_tensor_v2"):
    sizes = tup(*map(whole, shape)), tup(*map(whole, strides))
    return call(
        f"torch._utils.{function}",
        source,
        whole(offset),
        *sizes,
        FALSE,
        call("collections.OrderedDict"),
        *more,
    )


def write_zip(path, program, storages=None, byteorder=None, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x/data.pkl", b"\x80\x02" + program + b".")
        if byteorder:
            archive.writestr("x/byteorder", byteorder)
        for key, data in (storages or {}).items():
            archive.writestr(f"x/data/{key}", data)
    return path


def write_legacy(path, program, storages=None):
    """`storages`: an array for each key."""
    storages = storages or {}
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    pickles = [pickle.dumps(value, 2) for value in head] + [b"\x80\x02" + program + b"."]
    data = [struct.pack("<q", array.size) + array.tobytes() for array in storages.values()]
    path.write_bytes(b"".join([*pickles, pickle.dumps(list(storages), 2), *data]))
    return path


def write(kind, path, program, storages=None):
    if kind == "legacy":
        return write_legacy(path, program, storages)
    return write_zip(path, program, {key: array.tobytes() for key, array in (storages or {}).items()})


def refused(path):
    """What is said of the file, after its name."""
    message = refusal(read_torch, path)
    assert message.startswith(str(path))
    assert len(message) < 600
    return message.removeprefix(f"{path} ")


# ---- real files ----


@pytest.mark.parametrize("kind", FORMATS)
def test_reads_real_files(kind):
    arrays = read_torch(FIXTURES / f"torch_{kind}.bin")
    expected = np.load(FIXTURES / "torch_expected.npz")
    assert list(arrays) == expected.files
    for key, array in arrays.items():
        wide = array.astype(np.float32) if array.dtype.name.startswith(("bfloat16", "float8")) else array
        assert wide.dtype == expected[key].dtype, key
        np.testing.assert_array_equal(wide, expected[key], err_msg=key, strict=True)


@pytest.mark.parametrize("kind", FORMATS)
def test_dtypes_and_names_are_those_of_the_file(kind):
    arrays = read_torch(FIXTURES / f"torch_{kind}.bin")
    for key in (key for key in arrays if key.startswith("dtype.")):
        assert arrays[key].dtype.name == key.removeprefix("dtype.")
    assert arrays["dtype.bfloat16"].dtype == ml_dtypes.bfloat16
    assert arrays["module.bert.weight"].shape == (2, 3)
    assert arrays["scalar"].shape == ()
    assert arrays["empty"].shape == (0, 3)


@pytest.mark.parametrize("kind", FORMATS)
def test_tied_tensors_and_slices_share_one_read_only_storage(kind):
    arrays = read_torch(FIXTURES / f"torch_{kind}.bin")
    for key in ("tied", "slice", "transposed", "every_other"):
        assert np.shares_memory(arrays["base"], arrays[key]), key
        assert not arrays[key].flags.writeable


@pytest.mark.parametrize("file", ["small_zip", "small_legacy", "protocol5", "no_crc"])
def test_reads_other_ways_of_saving(file):
    arrays = read_torch(FIXTURES / f"torch_{file}.bin")
    np.testing.assert_array_equal(arrays["a.weight"], SMALL, strict=True)


def test_finds_the_state_dict_in_a_training_checkpoint():
    arrays = read_torch(FIXTURES / "torch_wrapped.bin")
    expected = np.load(FIXTURES / "torch_wrapped_expected.npz")
    assert list(arrays) == expected.files
    for key in arrays:
        np.testing.assert_array_equal(arrays[key], expected[key], strict=True)


# ---- files by hand ----


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("kind", FORMATS)
def test_wrappers(kind, wrapper, tmp_path):
    program = dictionary(epoch=whole(3), **{wrapper: dictionary(a=tensor(storage(2), [2], [1]))})
    arrays = read_torch(write(kind, tmp_path / "x.bin", program, {"0": np.ones(2, np.float32)}))
    np.testing.assert_array_equal(arrays["a"], np.ones(2, np.float32), strict=True)


def test_legacy_storage_that_is_part_of_another(tmp_path):
    part = tup(text("view"), whole(2), whole(3))
    program = dictionary(a=tensor(storage(6, part), [2], [1], 1), b=tensor(storage(6, NONE), [6], [1]))
    arrays = read_torch(write_legacy(tmp_path / "x.bin", program, {"0": np.arange(6, dtype=np.float32)}))
    assert arrays["a"].tolist() == [3, 4]
    assert arrays["b"].tolist() == [0, 1, 2, 3, 4, 5]
    outside = dictionary(a=tensor(storage(6, part), [2], [1], 2))
    path = write_legacy(tmp_path / "y.bin", outside, {"0": np.arange(6, dtype=np.float32)})
    assert "'a' of shape (2,) reaches beyond its storage of 3 elements" in refused(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_first_tensors_of_all(kind, tmp_path):
    """Python 2 wrote an OrderedDict as a list of pairs, text as bytes; PyTorch 0.1 had _rebuild_tensor."""
    first = call("torch._utils._rebuild_tensor", storage(2), whole(0), tup(whole(2)), tup(whole(1)))
    pairs = b"](](U\x01a" + first + b"ee"
    path = write(kind, tmp_path / "x.bin", call("collections.OrderedDict", pairs), {"0": np.ones(2, np.float32)})
    assert read_torch(path)["a"].tolist() == [1, 1]


@pytest.mark.parametrize("dtype", ["f4", "i8", "c8", "u1"])
def test_big_endian(dtype, tmp_path):
    kind = {"f4": "Float", "i8": "Long", "c8": "ComplexFloat", "u1": "Byte"}[dtype]
    values = (np.arange(6) + (1j if dtype == "c8" else 0)).astype(f">{dtype}")
    program = dictionary(a=tensor(storage(6, kind=f"torch.{kind}Storage"), [3], [2]))
    path = write_zip(tmp_path / "x.bin", program, {"0": values.tobytes()}, byteorder="big")
    np.testing.assert_array_equal(read_torch(path)["a"], values[::2].astype(dtype), strict=True)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("module", "torch.nn.modules.linear.Linear, which is not part of a state dict; nothing was run"),
        ("script", "is a TorchScript archive"),
        ("conj", "has 'a' as a conj view"),
    ],
)
def test_real_files_that_hold_no_state_dict(file, message):
    assert message in refused(FIXTURES / f"torch_{file}.bin")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a git-lfs pointer"),
        (b"<html>", "is not a file of torch.save: it begins with b'<htm'."),
        (b"\x40\0\0\0\0\0\0\0{}", "looks like safetensors"),
        (b"PK\x03\x04 and no more", "zip directory cannot be read"),
        (pickle.dumps({"a": 1}), "has not torch's magic number"),
        (b"\x80\x02.", "holds nothing"),
    ],
)
def test_other_files(content, message, tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    assert message in refused(path)


def test_paths_that_are_no_file(tmp_path):
    assert "is a directory" in refused(tmp_path)
    assert "does not exist" in refused(tmp_path / "absent.bin")
    assert "cannot be read: File name too long" in refused(tmp_path / ("x" * 300))


def test_other_zips(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.bin", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "not one of torch.save" in refused(tmp_path / "x.bin")
    program = dictionary(a=tensor(storage(2), [2], [1]))
    path = write_zip(tmp_path / "y.bin", program, {"0": bytes(8)}, compression=zipfile.ZIP_DEFLATED)
    assert "compressed or encrypted entry 'x/data.pkl'" in refused(path)
    path = write_zip(tmp_path / "z.bin", program, {"0": bytes(8)}, byteorder="middle")
    assert "its byteorder is b'middle'" in refused(path)
    assert "the storage '0' of 'a' is missing" in refused(write_zip(tmp_path / "w.bin", program))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("program", "message"),
    [
        (dictionary(epoch=whole(3)), "holds a int under 'epoch'"),
        (dictionary(**{"a\nb": text("hello")}), r"holds a str under 'a\nb'"),
        (dictionary(net=dictionary(a=whole(1))), "holds a dict under 'net'"),
        (dictionary(a=storage(2)), "holds a storage under 'a'"),
        (b"}" + whole(1) + whole(2) + b"s", "under of type int"),
        (b"](" + whole(1) + b"e", "holds a list, not a state dict"),
        (tensor(storage(2), [2], [1]), "holds a tensor, not a state dict"),
    ],
    ids=["number", "text", "dict", "storage", "key", "list", "tensor"],
)
def test_values_that_are_no_tensors(kind, program, message, tmp_path):
    storages = {"0": np.ones(2, np.float32)} if b"Storage" in program else None
    assert message in refused(write(kind, tmp_path / "x.bin", program, storages))


HUGE = 2**62
LAZY = (dictionary(neg=TRUE),)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (tensor(storage(2), [3], [1]), "'a' of shape (3,) reaches beyond its storage of 2 elements"),
        (tensor(storage(2), [2], [1], 1), "reaches beyond"),
        (tensor(storage(2), [1], [1], HUGE), "reaches beyond"),
        (tensor(storage(2), [HUGE], [1]), "far more than its storage"),
        (tensor(storage(2), [2**40], [0]), "far more than its storage"),
        (tensor(storage(2), [HUGE] * 32, [0] * 32), "far more than its storage"),
        (tensor(storage(2), [0, HUGE, HUGE], [1, 1, 1]), "reaches beyond"),
        (tensor(storage(2), [2], [HUGE]), "reaches beyond"),
        (tensor(storage(2), [2] * 33, [0] * 33), "is damaged"),
        (tensor(storage(2), [2, 1], [1]), "is damaged"),
        (tensor(storage(2), [-1], [1]), "is damaged"),
        (tensor(storage(2), [2**63], [1]), "is damaged"),
        (tensor(storage(HUGE), [2], [1]), "is damaged"),
        (tensor(storage(2, kind="torch.UntypedStorage"), [2], [1]), "is damaged"),
        (
            tensor(storage(2), [2], [1], 0, name("torch.FloatStorage"), function="_rebuild_tensor_v3"),
            "is damaged",
        ),
        (tensor(text("0"), [2], [1]), "is damaged"),
        (tensor(storage(2), [2], [1], 0, *LAZY), "has 'a' as a neg view; save it after resolve_neg()"),
        (call("torch._utils._rebuild_parameter", whole(1), TRUE, NONE), "is damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tensors_that_cannot_be(kind, value, message, tmp_path):
    path = write(kind, tmp_path / "x.bin", dictionary(a=value), {"0": np.ones(2, np.float32)})
    with little_memory():
        assert message in refused(path)


def test_entries_that_overlap(tmp_path):
    """Nine directory entries for one storage must not become nine copies of it."""
    program = dictionary(**{f"t{i}": tensor(storage(9999, key=str(i)), [1], [1]) for i in range(9)})
    path = tmp_path / "x.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02" + program + b".")
        archive.writestr("x/data/0", bytes(9999 * 4))
        for i in range(1, 9):
            archive.filelist.append(entry := copy.copy(archive.filelist[1]))
            entry.filename = f"x/data/{i}"
    assert "overlaps another" in refused(path)


# ---- hostile pickles ----


def hostile_programs(marker):
    """Pickles that would leave `marker` behind, or do worse, were they run: (what, program, message)."""
    command = text(f"touch {marker}")
    code = text(f"open({str(marker)!r}, 'w')")
    system = call("posix.system", command)
    stacked = text("os") + text("system") + b"\x93" + tup(command) + b"R"
    dotted = text("torch.serialization") + text("os.system") + b"\x93" + tup(command) + b"R"
    return [
        ("system", system, "refers to posix.system, which is not part of a state dict; nothing was run"),
        ("stack global", stacked, "refers to os.system,"),
        ("dotted", dotted, "refers to torch.serialization.os.system,"),
        ("eval", call("builtins.eval", code), "refers to builtins.eval,"),
        ("exec of Python 2", call("__builtin__.exec", code), "refers to __builtin__.exec,"),
        ("getattr", call("builtins.getattr", name("os"), text("system")), "refers to builtins.getattr,"),
        (
            "getattr of ours",
            name("torch.Size") + dictionary(__call__=command) + b"b",
            "sets attributes of a Global",
        ),
        ("nested", tensor(system, [1], [1]), "refers to posix.system,"),
        ("in a value", dictionary(a=dictionary(b=tup(system))), "refers to posix.system,"),
        (
            "loader",
            call("torch.storage._load_from_bytes", command),
            "refers to torch.storage._load_from_bytes,",
        ),
        ("importer", call("torch._utils._import_dotted_name", command), "refers to torch._utils._import"),
        ("new line", text("a\nb") + text("c") + b"\x93", r"refers to a\nb.c,"),
        ("INST", b"(" + command + b"iposix\nsystem\n", "uses the pickle instruction INST"),
        ("OBJ", b"(" + name("posix.system") + command + b"o", "refers to posix.system,"),
        ("OBJ of ours", b"(" + name("torch.Size") + command + b"o", "uses the pickle instruction OBJ"),
        ("NEWOBJ", name("torch.Size") + tup() + b"\x81", "uses the pickle instruction NEWOBJ"),
        ("EXT1", b"\x82\x01", "uses the pickle instruction EXT1"),
        ("no such", b"\xff", "uses the pickle instruction 0xff"),
        ("state of a tensor", tensor(storage(2), [2], [1]) + dictionary(x=whole(1)) + b"b", "of a Tensor"),
        ("call of a value", command + tup() + b"R", "is damaged: its pickle fails"),
        ("call of a storage class", call("torch.FloatStorage", whole(9)), "is damaged"),
        ("call of a dtype", call("torch.float32", whole(9)), "is damaged"),
        (
            "module id",
            tup(text("module"), whole(1), whole(2), text("cpu"), whole(1)) + b"Q",
            "refers to a 'module'",
        ),
        ("short id", tup(text("storage")) + b"Q", "is damaged"),
        ("nothing below", b"a", "is damaged"),
        ("no mark", b"t", "is damaged"),
        ("no memo", b"j\xff\xff\xff\x7f", "is damaged"),
        (
            "tuple as key",
            b"}" + b")" + b"\x85" * 100_000 + whole(1) + b"s",
            "a dict with a key of type tuple",
        ),
        ("deep tuple", b")" + b"\x85" * 100_000, "holds a tuple"),
        ("deep list", b"]" + b"]" * 100_000 + b"a" * 100_000 + b"\x85", "holds a tuple"),
        ("huge text", b"\x8d" + b"\xff" * 8, "is cut short or damaged"),
        ("huge bytes", b"B\xff\xff\xff\xff", "is cut short or damaged"),
        ("huge number", b"\x8b\xff\xff\xff\x7f", "is cut short or damaged"),
        ("huge memo", NONE + b"r\xff\xff\xff\xff", "holds a nonetype"),
        ("no newline", b"c" + b"x" * 1000, "is cut short or damaged"),
        ("not UTF-8", b"X\x01\0\0\0\xff", "is damaged"),
    ]


WHAT = [what for what, _, _ in hostile_programs("")]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("what", WHAT)
def test_hostile_pickles_do_nothing(kind, what, tmp_path):
    marker = tmp_path / "marker"
    program, message = next((p, m) for w, p, m in hostile_programs(marker) if w == what)
    path = write(kind, tmp_path / "x.bin", program)
    with little_memory():
        assert message in refused(path)
    assert not marker.exists()


@pytest.mark.parametrize("what", ["system", "stack global", "eval", "INST"])
def test_the_hostile_pickles_are_alive(what, tmp_path):
    """Python's own unpickler runs them: the test above refuses something real."""
    marker = tmp_path / "marker"
    program = next(p for w, p, _ in hostile_programs(marker) if w == what)
    value = pickle.loads(b"\x80\x04" + program + b".")
    if hasattr(value, "close"):
        value.close()
    assert marker.exists()


@pytest.mark.parametrize("kind", FORMATS)
def test_attributes_of_a_dict_are_dropped(kind, tmp_path):
    """BUILD is how a state dict carries `_metadata`; neither it nor `__setstate__` reaches the dict."""
    state = dictionary(_metadata=dictionary(version=whole(1)), __setstate__=text("x"), __class__=text("y"))
    program = call("collections.OrderedDict") + text("a") + tensor(storage(2), [2], [1]) + b"s" + state + b"b"
    arrays = read_torch(write(kind, tmp_path / "x.bin", program, {"0": np.ones(2, np.float32)}))
    assert list(arrays) == ["a"]
    assert type(arrays) is dict


def test_one_list_for_many_dicts_costs_nothing(tmp_path):
    """Without care, 2,000 calls with one list of 2,000 pairs are four million entries."""
    pairs = b"](" + b"".join(b"](" + whole(i) + NONE + b"e" for i in range(2000)) + b"eq\x00"
    path = write_zip(tmp_path / "x.bin", pairs + (name("collections.OrderedDict") + b"h\x00\x85R") * 2000)
    with little_memory():
        assert read_torch(path) == {}


def test_a_pickle_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_pickle, "PICKLE_LIMIT", 1000)
    path = write_zip(tmp_path / "x.bin", NONE * 2000)
    assert "has a pickle of more than 1000 bytes" in refused(path)


# ---- damage ----


def outcome(path):
    """The arrays, or the message of the InputError; whatever else is raised fails the test."""
    try:
        return read_torch(path)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize(
    ("file", "step"), [("small_zip", 3), ("small_legacy", 1), ("zip", 41), ("legacy", 41), ("wrapped", 17)]
)
def test_a_file_cut_anywhere_is_refused(file, step, tmp_path):
    whole_file = (FIXTURES / f"torch_{file}.bin").read_bytes()
    path = tmp_path / "x.bin"
    for end in range(0, len(whole_file), step):
        path.write_bytes(whole_file[:end])
        refused(path)


@pytest.mark.parametrize("file", ["small_zip", "small_legacy", "zip", "legacy", "protocol5"])
def test_flipped_bytes_never_crash(file, tmp_path):
    content = (FIXTURES / f"torch_{file}.bin").read_bytes()
    rng, path, results = np.random.default_rng(0), tmp_path / "x.bin", []
    with little_memory():
        for i in range(400):
            raw = np.frombuffer(content, np.uint8).copy()
            end = raw.size if i % 2 else min(raw.size, 2500)  # every other time among the pickles
            places = rng.integers(0, end, rng.integers(1, 9))
            raw[places] = rng.integers(0, 256, places.size)
            path.write_bytes(raw.tobytes())
            results.append(outcome(path))
    messages = [result for result in results if not isinstance(result, dict)]
    assert len(messages) > 50
    assert all("\n" not in message for message in messages)


# ---- live ----


@pytest.mark.parity
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_parity_with_torch(legacy, tmp_path):
    torch = pytest.importorskip("torch")
    model = torch.nn.TransformerEncoderLayer(16, 2, 32, dtype=torch.float16)
    path = tmp_path / "x.bin"
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    arrays, loaded = read_torch(path), torch.load(path, weights_only=True)
    assert list(arrays) == list(loaded)
    for key, value in loaded.items():
        np.testing.assert_array_equal(arrays[key], value.numpy(), strict=True)


@pytest.mark.parity
def test_parity_on_the_fixture():
    """Strides too. (PyTorch 2.13 cannot read back its own legacy files of uint16 or float8.)"""
    torch = pytest.importorskip("torch")
    path = FIXTURES / "torch_zip.bin"
    arrays, loaded = read_torch(path), torch.load(path, weights_only=False)
    assert list(arrays) == list(loaded)
    for key, value in loaded.items():
        assert arrays[key].dtype.name == str(value.dtype).removeprefix("torch.")
        assert arrays[key].shape == tuple(value.shape)
        assert arrays[key].strides == tuple(step * value.element_size() for step in value.stride())


def test_torch_was_not_imported_to_read():
    """In a fresh process, so that another test's torch does not count."""
    program = (
        "import sys; from pathlib import Path; from autorel_jax.weights.torch_file import read_torch; "
        "read_torch(Path(sys.argv[1])); assert not {'torch', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(FIXTURES / "torch_zip.bin")], check=True)
