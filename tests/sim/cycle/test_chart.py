"""The timeline against shares by hand and a clocked simulation; the chart shows these numbers, and can be read."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from hwprune.errors import UserError
from hwprune.sim.cycle import chart
from hwprune.sim.cycle.chart import save_stall_chart, stall_chart
from hwprune.sim.cycle.model import CycleModel
from hwprune.sim.cycle.timeline import timeline
from hwprune.sim.cycle.work import work
from tests.sim.cycle.clocked import run_pads
from tests.sim.cycle.made_up import chain, padding, unit


def seen(design, frames=3, bins=20):
    model = CycleModel(design)
    return work(model, progress=False), timeline(model, frames, bins, progress=False)


def test_one_operator_works_from_its_first_beat_to_its_last():
    _, found = seen(chain(unit("m", 50, 6, 4, simd=2)))
    assert np.allclose(found.working, 1) and np.allclose(found.blocked, 0)
    # 50 vectors of 3 beats by 4 folds; what the pipeline takes is gone once.
    assert np.diff(found.ends).tolist() == [600, 600] and found.latency - 600 < 20
    assert found.edges[0] == 0 and found.edges[-1] == found.ends[-1] + 1


def test_blocked_bins_are_those_of_clocked_paddings():
    sizes = [(6, 1), (8, 2), (12, 0)]
    frames = 4
    passed, blocked = run_pads(sizes, frames)
    _, found = seen(chain(*(padding(f"p{k}", *size) for k, size in enumerate(sizes))), frames, bins=13)
    lengths = np.diff(found.edges)
    for k, (size, border) in enumerate(sizes):
        beats = (size + 2 * border) ** 2
        assert found.stops[k] == passed[k][frames * beats - 1]
        # The border of a frame that is not counted is offered, too.
        within, _ = np.histogram([cycle for cycle in blocked[k] if cycle <= found.stops[k]], found.edges)
        assert np.allclose(found.blocked[k], np.minimum(within / lengths, 1 - found.working[k]), atol=1e-6)
        # All the work of all frames is somewhere: an output beat a cycle.
        assert (found.working[k] * lengths).sum() == pytest.approx(frames * beats, rel=0.05)


def test_shares_are_those_of_work_in_steady_state():
    design = chain(unit("a", 64, 3, 9), 40, padding("b", 8, channels=9), unit("c", 100, 9, 3), 2, unit("d", 100, 3, 2))
    model = CycleModel(design)
    whole = work(model)
    frames = 6
    ends = timeline(model, frames, 10).ends
    found = timeline(model, frames, int(ends[-1] + 1))  # a bin a cycle
    last = slice(int(ends[-3]) + 1, int(ends[-2]) + 1)
    for k, one in enumerate(whole.operators):
        assert found.working[k, last].mean() == pytest.approx(one.working, abs=0.02)


def test_bars_are_the_shares():
    shares, course = seen(chain(padding("p", 6, channels=9, simd=3), unit("m", 64, 9, 4, simd=3, pe=2)))
    left, right = stall_chart(shares, course, 100).axes[:2]
    bars = {group.get_label(): [bar.get_width() for bar in group] for group in left.containers}
    assert bars == {"working": [50, 100], "blocked": [50, 0], "starved": [0, 0]}
    assert [label.get_text() for label in left.get_yticklabels()] == ["p", "m"]
    assert "%" in left.get_xlabel() and "cycles" in right.get_xlabel()


def test_the_colours_of_the_timeline_are_as_tall_as_its_shares():
    shares, course = seen(chain(padding("p", 6, channels=9, simd=3), unit("m", 64, 9, 4, simd=3, pe=2)), bins=8)
    right = stall_chart(shares, course).axes[1]
    bands = {}
    for row in right.collections:
        heights = [path.get_extents() for path in row.get_paths()]
        bands.setdefault(tuple(np.round(row.get_facecolor()[0][:3], 3)), []).append(heights)
    tallest = [max(box.height for box in boxes) for boxes in bands[tuple(np.round(to_rgb(chart.WORKING), 3))]]
    assert tallest == pytest.approx(0.78 * course.working.max(axis=1), abs=1e-4)


@pytest.mark.parametrize("count", [1, 30, 75])
def test_names_do_not_overlap(count):
    members = [padding(f"conv{k}_thresholds_width", 2, border=0) for k in range(count)]
    figure = stall_chart(*seen(chain(*members)))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [label.get_window_extent(canvas.get_renderer()) for label in figure.axes[0].get_yticklabels()]
    assert len(boxes) == count
    for above, below in itertools.pairwise(boxes):
        assert above.y0 >= below.y1
    assert min(box.x0 for box in boxes) >= 0


def test_colours_differ_in_grey():
    greys = [
        np.dot((0.2126, 0.7152, 0.0722), to_rgb(colour)) for colour in (chart.WORKING, chart.BLOCKED, chart.STARVED)
    ]
    assert min(np.diff(greys)) > 0.15


@pytest.mark.parametrize("suffix", chart.FORMATS)
def test_the_same_run_gives_the_same_file(tmp_path, suffix):
    shares, course = seen(chain(padding("a", 4), 2, padding("b", 6)))
    files = [save_stall_chart(tmp_path / f"{name}{suffix}", shares, course, 100) for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes() != b""


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"stalls.gif.*\.svg"):
        save_stall_chart(tmp_path / "stalls.gif", *seen(chain(padding("a", 4))))
    assert not list(tmp_path.iterdir())
