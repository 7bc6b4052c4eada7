"""CRC-32C: bytes -> TensorFlow's checksum, some gigabytes a second in NumPy.

A checksum is the remainder of the data, a polynomial over bits, modulo POLYNOMIAL, which has the multiple

    f(x) = x^290 + x^136 + x^113 + x^107 + x^32 + 1,   and so f(x)^n = f(x^n) for each n = 2, 4, 8 ...

so that, instead of being divided, the front of the data is added (XOR) to five later places, whole arrays at
a time. Only the last few hundred bytes go through the usual table. Used by sstable.py and tf_checkpoint.py.
"""

import numpy as np

POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed; the x^32 is implied
EXPONENTS = (290, 136, 113, 107, 32, 0)  # of f, found by search; a test divides it
SCALES = (1024, 128, 16, 1)  # bytes that x stands for: n = 8 * scale
WINDOW = 2**20  # bytes folded at a time, so that they stay in the processor's cache
SEED = b"Td\x1fd"  # brings the register from 0 to all ones, where a checksum begins


def remainder_table() -> list[int]:
    """The register after each single byte."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


TABLE = remainder_table()


def crc32c(data: np.ndarray) -> int:
    """The CRC-32C of an array of bytes."""
    rest = np.frombuffer(SEED, np.uint8)
    for start in range(0, data.size, WINDOW):
        rest = folded(np.concatenate([rest, data[start : start + WINDOW]]), SCALES[0])
    for scale in SCALES[1:]:
        rest = folded(rest, scale)
    register = 0
    for byte in rest.tolist():
        register = TABLE[(register ^ byte) & 255] ^ (register >> 8)
    return register ^ 0xFFFFFFFF


def folded(data: np.ndarray, scale: int) -> np.ndarray:
    """At most 290 * scale bytes with the same remainder; changes `data`."""
    top, *lower = (exponent * scale for exponent in EXPONENTS)
    start = 0
    while (length := min(top - lower[0], data.size - start - top)) > 0:
        run = data[start : start + length]
        for exponent in lower:
            place = start + top - exponent
            data[place : place + length] ^= run
        start += length
    return data[start:]


def masked(crc: int) -> int:
    """The form in which LevelDB and TensorFlow store a checksum: rotated, plus a constant."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
