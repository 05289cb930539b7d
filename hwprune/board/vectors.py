"""Test vectors: what goes into the accelerator's memory, byte by byte, and what has to come out of it.

The outputs are those of the integer network, which knows nothing of FINN and of the RTL.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from hwprune.accel.design import Design
from hwprune.sim.golden import golden_streams
from hwprune.sim.streams import element_type, pack

if TYPE_CHECKING:
    from hwprune.quant.integer import IntegerNetwork

FOLDER = "vectors"


def frames(
    network: "IntegerNetwork", design: Design, origin: Mapping[str, str], images: np.ndarray
) -> Iterator[dict[str, bytes]]:
    """Each image's beats, one after the other as they lie in memory.

    Parameters
    ----------
    network
        Integer form.
    design
        With one input.
    origin
        Of `hwprune.accel.accelerator.Accelerator`.
    images
        uint8, (frames, C, H, W).

    Yields
    ------
    dict
        For one image: bytes by the name of each stream that is a port.
    """
    (source,) = design.inputs
    for image in images:
        made = {source.name: pack(image.transpose(1, 2, 0), source.datatype, source.folded_shape).tobytes()}
        values = golden_streams(network, image, {origin[sink.tensor] for sink in design.outputs})
        for sink in design.outputs:
            made[sink.name] = pack(values[origin[sink.tensor]], sink.datatype, sink.folded_shape).tobytes()
        yield made


def masks(design: Design) -> dict[str, bytes]:
    """Of each output, a frame whose bits are 1 where they count: what fills up a beat to bytes may be anything."""
    made = {}
    for sink in design.outputs:
        bits, signed = element_type(sink.datatype)
        every = np.full(sink.folded_shape, -1 if signed else (1 << bits) - 1, np.int64 if signed else np.uint64)
        made[sink.name] = pack(every, sink.datatype, sink.folded_shape).tobytes()
    return made
