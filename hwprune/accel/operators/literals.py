"""Numbers as the RTL's parameters and memories want them."""

import numpy as np
from numpy.typing import NDArray


def packed_literal(values: NDArray, bits: int) -> str:
    """A packed array of numbers as a Verilog constant, the first one lowest."""
    words = [int(value) & (1 << bits) - 1 for value in values]
    if len(set(words)) == 1:
        return f"{{{len(words)}{{{bits}'d{words[0]}}}}}"
    return "{" + ", ".join(f"{bits}'d{word}" for word in reversed(words)) + "}"


def rom_text(bits: NDArray) -> str:
    """Words (words, bits) of 0 and 1, the lowest bit first, for ``$readmemh``: a line a word, highest digit first."""
    digits = -(-bits.shape[1] // 4)
    octets = np.packbits(bits.astype(np.uint8), axis=1, bitorder="little")[:, ::-1]
    return "".join(f"{row.tobytes().hex()[-digits:]}\n" for row in octets)
