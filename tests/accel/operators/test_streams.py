"""The operators' RTL, wrapped as FINN gets it: values, protocol, throughput."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hwprune.accel.operators.maxpool2d import node_stages
from tests.accel.operators.bench import Stall
from tests.accel.operators.cases import MAKERS

KINDS = sorted(MAKERS)
FRAMES = 3
LATENCY = 4  # cycles through memory and skid buffer

# A failing example says which port broke which rule in which cycle; shrinking it would take minutes and say no more.
property_test = settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
stalls = st.builds(Stall, st.sampled_from([0, 10, 50, 90]), st.sampled_from([1, 3, 40]))


def simulate(bench, group, rng, seed, stall=None):
    """Run all cases side by side and hold every output to its golden beats."""
    inputs, golden = {}, {}
    for case in group:
        arrays = case.data(rng, FRAMES)
        inputs |= case.beats_in(arrays)
        golden |= case.beats_out(arrays)
    counts = {port: len(beats) for port, beats in golden.items()}
    pauses = {port: stall(port) for port in (*inputs, *golden)} if stall else {}
    traces = bench.run(inputs, counts, pauses, seed)
    for port, beats in golden.items():
        np.testing.assert_array_equal(traces[port].beats, beats, err_msg=port)
    return traces


@pytest.mark.parametrize("kind", KINDS)
@property_test
@given(seed=st.integers(0, 2**31), data=st.data())
def test_values_and_protocol_under_any_stall(bench, cases, kind, seed, data):
    """Each input and output pauses by a pattern of its own."""
    into, out = data.draw(st.lists(stalls, min_size=1, max_size=4)), data.draw(st.lists(stalls, min_size=1, max_size=4))
    rng = np.random.default_rng(seed)
    simulate(bench, cases[kind], rng, seed, lambda port: rng.choice(into if "_in" in port else out))


@pytest.mark.parametrize("kind", KINDS)
def test_cycles_a_frame_are_the_estimate(bench, cases, kind):
    """Without stalls a frame takes `get_exp_cycles`, to the cycle; the first one is late by the pipeline only."""
    traces = simulate(bench, cases[kind], np.random.default_rng(1), 1)
    for case in cases[kind]:
        estimate = int(case.op.get_exp_cycles())
        for port in case.ports("out"):
            ends = traces[port].cycles.reshape(FRAMES, -1)[:, -1]
            assert np.all(np.diff(ends) == estimate), f"{port}: frames end at {ends}, estimate {estimate}"
            late = ends[0] - (estimate + beats_waited_for(case.op))
            assert late < LATENCY, f"{port}: first frame ends at {ends[0]}, estimate {estimate}"


def beats_waited_for(op) -> int:
    """A pool waits for the rows and pixels that its stages give again, and a cycle for each stage beyond two."""
    if op.onnx_node.op_type != "MaxPool2d_rtl":
        return 0
    stages = node_stages(op)
    return len(stages) - 2 + sum(stage.beats for stage in stages if stage.drains)


def test_pools_take_a_beat_in_every_cycle(bench, cases):
    """No bubbles at the input, dropped rows and columns included."""
    group = cases["maxpool2d"]
    traces = simulate(bench, group, np.random.default_rng(2), 2)
    for case in group:
        (port,) = case.ports("in")
        assert np.array_equal(traces[port].cycles, np.arange(len(traces[port].cycles)))


def test_streams_flow_without_gaps_once_begun(bench, cases):
    """A beat leaves in every cycle, across frames."""
    full_rate = [case for kind in ("upsample", "concat", "duplicate") for case in cases[kind]]
    same_size = [c for c in cases["maxpool2d"] if c.op.get_normal_input_shape() == c.op.get_normal_output_shape()]
    full_rate += [case for case in same_size if case.op.get_nodeattr("stride") == 1]
    traces = simulate(bench, full_rate, np.random.default_rng(3), 3)
    for case in full_rate:
        for port in case.ports("out"):
            assert np.all(np.diff(traces[port].cycles) == 1), port


def test_width_converters_never_slow_down_the_narrower_side(bench, cases):
    """A beat in every cycle there, once the first ones are through, whatever the widths."""
    traces = simulate(bench, cases["width"], np.random.default_rng(3), 3)
    for case in cases["width"]:
        widths = case.op.get_instream_width(), case.op.get_outstream_width()
        (port,) = case.ports("in" if widths[0] <= widths[1] else "out")
        assert np.all(np.diff(traces[port].cycles[:-2]) == 1), (port, widths)


def test_upsampling_keeps_its_rate_with_a_producer_at_mean_rate(bench, cases):
    """One beat in every factor^2 cycles is enough: once the first row has come in, no gap at the output."""
    inputs, counts, pauses = {}, {}, {}
    for case in cases["upsample"]:
        inputs |= case.beats_in(case.data(np.random.default_rng(4), FRAMES))
        (into,), (out,) = case.ports("in"), case.ports("out")
        counts[out] = FRAMES * int(np.prod(case.op.get_folded_output_shape()[:-1]))
        pauses[into] = Stall(100, case.op.factor**2 - 1, case.op.factor**2 - 1)
    traces = bench.run(inputs, counts, pauses)
    for case in cases["upsample"]:
        (out,) = case.ports("out")
        first_row = int(np.prod(case.op.get_folded_output_shape()[2:-1]))
        assert np.all(np.diff(traces[out].cycles[first_row:]) == 1), out
