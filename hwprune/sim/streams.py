"""Tensors to beats and back, in FINN's order.

The last axis of a folded shape is one beat; element 0 of a beat lies in its least significant bits, each element in as
many bits as its data type has, and a beat is padded to whole bytes (`finn.util.data_packing` with both `reverse_inner`
and `reverse_endian`, as FINN's RTL simulation calls it). Signed elements are in two's complement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from hwprune.errors import UserError

CHUNK = 1 << 21
"""Elements that are handled at a time: their single bits take 64 times the memory of a packed one at most."""


def element_type(datatype: str) -> tuple[int, bool]:
    """Width in bits, and whether it is signed, of an integer type by its qonnx name.

    Raises
    ------
    UserError
        Not UINT1..UINT64, INT1..INT64 or BINARY.
    """
    found = re.fullmatch(r"(U?)INT([1-9]\d*)", datatype)
    if datatype == "BINARY":
        return 1, False
    if found is None or int(found[2]) > 64:
        raise UserError(f"datatype {datatype}: only BINARY, UINT1 to UINT64 and INT1 to INT64 go over streams")
    return int(found[2]), not found[1]


def pack(values: np.ndarray, datatype: str, folded_shape: Sequence[int]) -> np.ndarray:
    """Beats of one or more frames.

    Parameters
    ----------
    values
        Integers, of shape (frames, *normal_shape); the frame's shape only has to hold as many elements as the folded
        one, in the same order. Floats are taken if they are whole.
    datatype
        qonnx name of the elements' type.
    folded_shape
        Of one frame.

    Returns
    -------
    uint8 (frames * beats, bytes), lowest byte first.

    Raises
    ------
    UserError
        A value outside the type's range, or a number of elements that makes no whole frames.
    """
    bits, signed = element_type(datatype)
    frame, lanes = _extents(folded_shape)
    values = np.asarray(values)
    if values.size % frame:
        raise UserError(f"{values.shape}: {values.size} elements make no whole frames of {tuple(folded_shape)}")
    if values.dtype.kind == "f":
        whole = values.astype(np.int64)
        if (whole != values).any():
            raise UserError(f"values for a stream of {datatype} are not whole")
        values = whole
    if values.dtype.kind not in "iub":
        raise UserError(f"values for a stream are {values.dtype}, must be integers")
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        raise UserError(f"values from {values.min()} to {values.max()} do not fit {datatype} ({low} to {high})")
    rows = values.reshape(-1, lanes)
    packed = np.empty((len(rows), -(-lanes * bits // 8)), dtype=np.uint8)
    for part in _parts(rows):
        # Modulo 2**64 two's complement and unsigned are the same bits.
        octets = np.ascontiguousarray(rows[part]).astype(np.int64 if signed else np.uint64).astype("<u8", copy=False)
        single = np.unpackbits(octets.view(np.uint8).reshape(-1, lanes, 8), axis=2, count=bits, bitorder="little")
        packed[part] = np.packbits(single.reshape(-1, lanes * bits), axis=1, bitorder="little")
    return packed


def unpack(beats: np.ndarray, datatype: str, folded_shape: Sequence[int]) -> np.ndarray:
    """The elements of whole frames of beats.

    Parameters
    ----------
    beats
        uint8 (frames * beats, bytes), lowest byte first; padding is ignored.
    datatype
        qonnx name of the elements' type.
    folded_shape
        Of one frame.

    Returns
    -------
    int64 (frames, *folded_shape), uint64 for UINT64.

    Raises
    ------
    UserError
        Beats that are too narrow, or a number of them that makes no whole frames.
    """
    bits, signed = element_type(datatype)
    frame, lanes = _extents(folded_shape)
    beats = np.asarray(beats)
    if beats.dtype != np.uint8 or beats.ndim != 2 or beats.shape[1] * 8 < lanes * bits:
        raise UserError(
            f"beats are {beats.dtype} {beats.shape}; {lanes} elements of {datatype} need uint8 (beats, "
            f"{-(-lanes * bits // 8)})"
        )
    if len(beats) * lanes % frame:
        raise UserError(f"{len(beats)} beats make no whole frames of {tuple(folded_shape)}")
    values = np.empty((len(beats), lanes), dtype=np.uint64 if bits == 64 and not signed else np.int64)
    for part in _parts(values):
        single = np.unpackbits(beats[part], axis=1, count=lanes * bits, bitorder="little").reshape(-1, lanes, bits)
        padded = np.zeros((*single.shape[:2], 64), dtype=np.uint8)
        padded[:, :, :bits] = single
        if signed:
            padded[:, :, bits:] = single[:, :, -1:]
        values[part] = np.packbits(padded, axis=2, bitorder="little").view("<u8")[:, :, 0].view(values.dtype)
    return values.reshape(-1, *folded_shape)


def _extents(folded_shape: Sequence[int]) -> tuple[int, int]:
    """Elements a frame and elements a beat."""
    if not folded_shape or any(extent < 1 for extent in folded_shape):
        raise UserError(f"folded shape {tuple(folded_shape)} is empty")
    return int(np.prod(folded_shape, dtype=np.int64)), int(folded_shape[-1])


def _parts(rows: np.ndarray) -> list[slice]:
    step = max(1, CHUNK // rows.shape[1])
    return [slice(start, start + step) for start in range(0, len(rows), step)]
