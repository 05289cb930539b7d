"""Which sliding windows FINN's generator gets right (finn-plus 1.6.1, ``rtl/convolutioninputgenerator_rtl.py``)."""

import math
from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True)
class WindowShape:
    """A sliding window; every pair is (rows, columns), and ``size`` that of the input with its padding."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    size: Pair

    @property
    def reach(self) -> Pair:
        """From the first to the last pixel under the kernel."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def windows(self) -> Pair:
        """Rows of windows, and windows in a row."""
        return tuple((n - r) // s + 1 for n, r, s in zip(self.size, self.reach, self.stride, strict=True))

    @property
    def covered(self) -> Pair:
        """From the first to the last pixel under any window."""
        return tuple(r + (n - 1) * s for r, n, s in zip(self.reach, self.windows, self.stride, strict=True))

    @property
    def misplaced(self) -> str | None:
        """Why FINN's schedule takes wrong pixels from the second frame on: it counts those left over as a remainder."""
        for extent, part in zip(self.size, self.covered, strict=True):
            if extent % part != extent - part:
                return f"windows that leave {extent - part} of {extent} rows or columns unused"
        return None

    @property
    def trouble(self) -> str | None:
        """Why FINN has no right hardware for it in any fold; None where it has."""
        (_, width), reach, covered = self.size, self.reach, self.covered
        if any(s > n for s, n in zip(self.stride, self.size, strict=True)):
            return "a stride larger than the map"
        if self.misplaced:
            return self.misplaced
        if self.kernel == (1, 1):
            return "fewer than three windows of one pixel" if math.prod(self.windows) < 3 else None
        # The controller steps through a ring of inputs, and no step may be longer than the ring.
        window = (reach[0] - 1) * width + reach[1]
        spare = max(0, self.stride[1] - 1 - math.prod(self.kernel))
        spare += max(0, (self.stride[0] - 1) * width - math.prod(self.kernel))
        step = width - covered[1] + reach[1] + (self.stride[0] - 1) * width - window + 1
        return "a stride so much larger than the kernel" if abs(step) > window + spare else None

    @property
    def works_whole(self) -> bool:
        """Whether FINN also has hardware that gives a whole window in each beat."""
        (rows, _), (_, width) = self.kernel, self.size
        line_buffer = width * self.dilation[0] - self.reach[1]
        return math.prod(self.windows) > 2 and (rows == 1 or width == 1 or line_buffer > 1)
