"""When frames are known to repeat: after all that the future depends on has moved along, and not before."""

import itertools

import pytest

from hwprune.accel.fifo_storage import FifoSize
from hwprune.sim.cycle import model as module
from hwprune.sim.cycle.machine import (
    DRAIN_BASE,
    DRAIN_MASK,
    DRAINED,
    GRANTED,
    OUT_BASE,
    OUT_MASK,
    PUSHED,
    STYLE,
    WIRE,
)
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.cycle.steady import at_rest
from tests.sim.cycle.made_up import chain, converter, padding, pool, sam, thresholds, unit, upsampling, window

FRAMES = 60
DESIGNS = {
    "unit": chain(unit("made", 25, 4, 3)),
    "sam": chain(sam("made", 25, 4, 3)),
    "thresholds": chain(thresholds("made", 30)),
    "pool": chain(pool("made", 6, stride=1)),
    "upsampling": chain(upsampling("made", 4)),
    # The padding begins the next frame by itself, and so does what comes behind it.
    "window": chain(padding("pad", 6), 40, window("made", 8)),
    "block RAM": chain(padding("pad", 6), 40, unit("made", 64, 1, 2)),
    "grants": chain(padding("pad", 6), converter("made", 64, 1, 4)),
}


def places(machine, members):
    """Of all that may be live at rest, in queues and rings: where the last number lies; per kind of place."""
    found = {}
    for number, row in enumerate(machine.queues):
        if row[DRAINED]:
            found["drained", number] = row[DRAIN_BASE] + ((row[DRAINED] - 1) & row[DRAIN_MASK])
        if row[STYLE] == WIRE and row[GRANTED] > row[PUSHED]:
            found["granted", number] = row[OUT_BASE] + ((row[GRANTED] - 1) & row[OUT_MASK])
    for i, member in enumerate(members):
        for number, ring in enumerate(member.timing.rings):
            count = machine.state[i, ring.count]
            if ring.length and count > ring.first:
                base, mask = machine.rings[i, 2 * number : 2 * number + 2]
                found["ring", number] = base + ((count - 1) & mask)
    return found


EXPECTED = {
    "unit": {("ring", 0), ("ring", 1), ("ring", 2), ("ring", 3)},
    "sam": {("ring", 0), ("ring", 1), ("ring", 2), ("ring", 3)},
    "thresholds": {("ring", 0)},
    "pool": {("ring", 0), ("ring", 1)},
    "upsampling": {("ring", 0), ("ring", 1)},
    "window": {("ring", 0)},
    "block RAM": {("drained", 1)},
    "grants": {("granted", 1)},
}


@pytest.mark.parametrize("kind", DESIGNS)
def test_each_number_that_is_looked_back_on_has_to_move_along(kind, monkeypatch):
    sizes = {"fifo1": FifoSize(600, "block")} if kind == "block RAM" else None
    model = CycleModel(DESIGNS[kind], sizes)
    seen = set()

    def watching(machine, queues, members):
        seen.update(places(machine, members))
        return at_rest(machine, queues, members)

    monkeypatch.setattr(module, "at_rest", watching)
    assert model.run(FRAMES).simulated < FRAMES
    assert EXPECTED[kind] <= seen
    for place in EXPECTED[kind]:
        frames = itertools.count()

        def late(machine, queues, members, place=place, frames=frames):
            """A cycle later in each frame."""
            memory = machine.memory.copy()
            if place in (at := places(machine, members)):
                memory[at[place]] += next(frames)
            return at_rest(machine._replace(memory=memory), queues, members)

        monkeypatch.setattr(module, "at_rest", late)
        assert model.run(FRAMES).simulated == FRAMES, place
