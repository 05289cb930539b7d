"""Connections of SAM layers that can never win, found exactly in the integer form, and what the hardware has of them.

An integer neuron takes max_i(X_i - p_i) over a group; the least distance p of a group is 0 (`hwprune.sam.neuron`). Let
the X_i run from ``least`` to ``most`` independently, and span = most - least, in the unit of the sums.

- p_i >= span: X_i - p_i <= most - span = least <= X_j for the connection j of distance 0. Connection i is *dead*: it
  can tie at best, and then the maximum has the same value without it. All dead ones can go at once, for j stays.
- p_i < span: with X_i = most and all others least, X_i - p_i > least >= X_j - p_j for every other j. It wins alone.

So a connection is dead if and only if its distance is span or more: given the range alone, nothing more can be found by
comparing weights. Padding changes nothing, for 0 lies in the range. min_i(X_i + n_i) and the second maximum of a
difference are the same with n. The halves die apart. With a floor, X runs from 0 to span and the floor is what the
connection of distance 0 was, which there need not be: a whole group can be dead.

What it is worth, per connection that is dead in every half:

- Memory: dead distances may all be stored as the least dead one, ceil(span / 2**shift). That takes bits away where
  codes are wider than the activations (8-bit edge layers that read 4 bits) or steps are coarse (shift of 2 or more:
  3 bits for 4-bit activations); with as many bits and shift 0 or 1 it takes none.
- Logic: with all folds unrolled the codes are constants, a saturated difference is 0 and synthesis removes its part of
  the tree.
- Time: a folded unit could skip a step of SIMD connections if they are dead in all PE units and halves; see
  `idle_steps`. Without a floor no step is idle that holds a whole group, for it holds a distance of 0.
"""

from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from hwprune.models.architecture import IMAGE
from hwprune.quant.integer import IntegerNetwork, signed_activations
from hwprune.sam.integer import IntegerSamConv2d
from hwprune.sam.neuron import connections, dead_distance
from hwprune.sam.settings import Sam


class DeadWeights(BaseModel):
    """One SAM layer.

    Attributes
    ----------
    layer, sam
        Its name and neuron.
    span
        Range of its input, in the input's own steps.
    connections
        Of all units; each has one distance per half.
    dead
        Dead connections, for each half.
    bits_before, bits_after
        What the greatest distance needs as it is, and with all dead ones as small as they can be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    layer: str
    sam: Sam
    span: int
    connections: int
    dead: tuple[int, ...]
    bits_before: int
    bits_after: int

    @property
    def share(self) -> float:
        """Of all distances, those that are dead."""
        return sum(self.dead) / (len(self.dead) * self.connections)

    @property
    def saved_bits(self) -> int:
        """Of weight memory."""
        return (self.bits_before - self.bits_after) * len(self.dead) * self.connections


def input_spans(network: IntegerNetwork) -> dict[str, int]:
    """For every SAM layer, the range of its input: greatest less least integer."""
    signed, levels = signed_activations(network.architecture), 2**network.precision.activation_bits
    ranges, spans = {IMAGE: (0, 255)}, {}
    for layer in network.architecture.layers:
        if layer.op != "conv":  # what joins and pools gives on the values that it gets
            least, most = zip(*(ranges[source] for source in layer.inputs), strict=True)
            ranges[layer.name] = min(least), max(most)
            continue
        if layer.sam:
            least, most = ranges[layer.input]
            spans[layer.name] = most - least
        least = -levels // 2 if signed.get(layer.name) else 0
        # A ReLU may share the quantiser of a layer with negative values.
        ranges[layer.name] = 0 if layer.activation == "relu" else least, least + levels - 1
    return spans


def dead_weights(network: IntegerNetwork) -> list[DeadWeights]:
    """What is dead in each SAM layer of a network, in execution order."""
    rows = []
    for name, span in input_spans(network).items():
        conv: IntegerSamConv2d = network.layers[name].conv
        least_dead = dead_distance(span, conv.sam.shift)
        largest = max(int(half.max()) for half in _halves(conv))
        rows.append(
            DeadWeights(
                layer=name,
                sam=conv.sam,
                span=span,
                connections=conv.p.numel(),
                dead=tuple(int((half >= least_dead).sum()) for half in _halves(conv)),
                bits_before=max(1, largest.bit_length()),
                bits_after=max(1, min(largest, least_dead).bit_length()),
            )
        )
    return rows


@torch.no_grad()
def drop_dead(network: IntegerNetwork) -> IntegerNetwork:
    """A copy of ``network`` in which every dead distance is the least dead one; all its values are the same."""
    smaller = deepcopy(network)
    for name, span in input_spans(network).items():
        conv: IntegerSamConv2d = smaller.layers[name].conv
        for half in _halves(conv):
            half.clamp_(max=dead_distance(span, conv.sam.shift))
    return smaller


def idle_steps(codes: list[NDArray], least_dead: int, simd: int, pe: int) -> tuple[int, int]:
    """How many steps of a folded unit see dead connections only.

    A step of `hwprune.accel.operators.samvau` takes ``simd`` consecutive connections of ``pe`` consecutive outputs. It
    changes no maximum if all are dead; skipping it would take an address for each step beside the weights, and would
    save cycles only in a layer that waits neither for its input nor for another layer.

    Parameters
    ----------
    codes
        For each half, distances (J, K), connections in the order of `hwprune.sam.neuron`.
    least_dead
        See `dead_distance`.
    simd, pe
        Divisors of K and J.

    Returns
    -------
    tuple of int
        Idle steps, and all steps, of one vector.
    """
    dead = np.logical_and.reduce([half >= least_dead for half in codes])
    units, fan_in = dead.shape
    steps = dead.reshape(units // pe, pe, fan_in // simd, simd).all((1, 3))
    return int(steps.sum()), steps.size


def layer_codes(conv: IntegerSamConv2d) -> list[NDArray]:
    """The distances of each half, int64 (J, K), connections in the order of `hwprune.sam.neuron`."""
    return [connections(half.cpu().numpy().astype(np.int64)) for half in _halves(conv)]


def _halves(conv: IntegerSamConv2d) -> list[torch.Tensor]:
    return [conv.p] if conv.n is None else [conv.p, conv.n]
