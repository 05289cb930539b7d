"""Latency and interval of an accelerator, from the cycles of its ports' beats; at the levels cycle and rtl."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwprune.accel.design import Design


@dataclass(frozen=True)
class Rate:
    """Of a run of several frames.

    Attributes
    ----------
    latency
        Cycles from the first beat in to the last beat out, of the first frame.
    interval
        Cycles between the last two frames, at the slowest output; None for a single frame.
    steady
        Whether the last two intervals were the same at every output.
    """

    latency: int
    interval: int | None
    steady: bool


def rate(design: Design, cycles: Mapping[str, np.ndarray], frames: int) -> Rate:
    """Of a run that took ``frames`` frames.

    Parameters
    ----------
    design
        Of the accelerator.
    cycles
        Of the beats of each input and output port, in order; surplus beats do not matter.
    frames
        That were fed, one behind the other without a gap.
    """
    ends = np.array([frame_ends(cycles[stream.name], stream.beats, frames) for stream in design.outputs])
    first = min(int(cycles[stream.name][0]) for stream in design.inputs)
    steps = np.diff(ends, axis=1)
    return Rate(
        latency=int(ends[:, 0].max()) - first,
        # Of each output by itself: the one that ends the first frame need not be the one that ends the others.
        interval=int(steps[:, -1].max()) if frames > 1 else None,
        steady=frames > 2 and bool((steps[:, -1] == steps[:, -2]).all()),
    )


def frame_ends(cycles: np.ndarray, beats: int, frames: int) -> np.ndarray:
    """Cycle of the last beat of each frame on a stream, int64 (frames,)."""
    return cycles[: frames * beats].reshape(frames, beats)[:, -1].astype(np.int64)
