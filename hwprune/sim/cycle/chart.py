"""The stall chart: for each operator the shares of its time, and what it does in the course of a run."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwprune.errors import UserError
from hwprune.files import atomic_write
from hwprune.sim.cycle.timeline import Timeline
from hwprune.sim.cycle.work import Work

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by lightness alone, too: dark, middle, light. Blue and orange by those who do not see red or green.
WORKING, BLOCKED, STARVED = "#0b4f8a", "#f0a03c", "#e4e7eb"
INK, SOFT = "#1f2933", "#7b8794"
WIDTH, ROW, FRAME = 11.0, 0.19, 1.75
"""Of the figure, of an operator, and of what stands above and below them; inches."""
FORMATS = (".svg", ".pdf", ".png")


def stall_chart(work: Work, timeline: Timeline, clock_mhz: float | None = None) -> "Figure":
    """Draw the chart.

    Parameters
    ----------
    work, timeline
        Of the same accelerator.
    clock_mhz
        With it a second axis tells milliseconds.
    """
    from matplotlib.figure import Figure

    count = len(work.operators)
    figure = Figure(figsize=(WIDTH, FRAME + ROW * max(count, 6)), layout="constrained")
    shares, course = figure.subplots(1, 2, sharey=True, width_ratios=(1, 2.6))
    _draw_shares(shares, work)
    _draw_course(course, timeline, clock_mhz)
    shares.set_ylim(count - 0.4, -0.6)
    frame = f"{work.interval:,} cycles a frame"
    if clock_mhz:
        frame += f" = {clock_mhz * 1e6 / work.interval:,.1f} frames a second at {clock_mhz:g} MHz"
    shares.set_title(f"Share of a frame's {work.interval:,} cycles", fontsize=9, color=INK, loc="left")
    figure.suptitle(f"{frame}, the first after {timeline.latency:,}", fontsize=11, color=INK, x=0.01, ha="left")
    handles, labels = shares.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=3, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def save_stall_chart(path: Path | str, work: Work, timeline: Timeline, clock_mhz: float | None = None) -> Path:
    """Draw the chart into a file, by its suffix: .svg, .pdf or .png. The same run gives the same file.

    Raises
    ------
    UserError
        Another suffix.
    """
    import matplotlib

    path = Path(path)
    if path.suffix not in FORMATS:
        raise UserError(f"{path}: a chart is written as {', '.join(FORMATS)}, not {path.suffix or 'without a suffix'}")
    figure = stall_chart(work, timeline, clock_mhz)
    metadata = {".svg": {"Date": None, "Creator": None}, ".pdf": {"CreationDate": None}, ".png": {"Software": None}}
    with atomic_write(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "hwprune", "svg.fonttype": "path"}):
        figure.savefig(temporary, dpi=200, metadata=metadata[path.suffix])
    return path


def _draw_shares(axes: "Axes", work: Work) -> None:
    rows = np.arange(len(work.operators))
    left = np.zeros(len(rows))
    for label, colour, hatch in (("working", WORKING, None), ("blocked", BLOCKED, "////"), ("starved", STARVED, None)):
        widths = np.array([getattr(operator, label) for operator in work.operators]) * 100
        axes.barh(rows, widths, left=left, height=0.78, color=colour, label=label, hatch=hatch,
                  edgecolor="white" if hatch else None, linewidth=0)  # fmt: skip
        left += widths
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of cycles in steady state (%)")
    axes.set_yticks(rows, [operator.name for operator in work.operators])
    _plain(axes)
    for label in axes.get_yticklabels():
        if label.get_text() == work.bottleneck:
            label.set_fontweight("bold")


def _draw_course(axes: "Axes", timeline: Timeline, clock_mhz: float | None) -> None:
    unit, name = _unit(timeline.edges[-1])
    edges = timeline.edges / unit
    for row in range(len(timeline.operators)):
        # Behind its last beat an operator has nothing to wait for.
        seen = timeline.edges[:-1] <= timeline.stops[row]
        base = np.full(len(edges) - 1, row + 0.39)
        working = base - 0.78 * timeline.working[row]
        both = working - 0.78 * timeline.blocked[row]
        for lower, upper, colour in ((base, base - 0.78, STARVED), (base, working, WORKING), (working, both, BLOCKED)):
            axes.fill_between(edges, _stepped(np.where(seen, lower, base)), _stepped(np.where(seen, upper, base)),
                              step="post", color=colour, linewidth=0, rasterized=True)  # fmt: skip
    for end in timeline.ends:
        axes.axvline((end + 1) / unit, color=INK, linewidth=0.7, linestyle=(0, (4, 2)))
    axes.set_xlim(0, edges[-1])
    axes.set_xlabel(f"cycles from reset on{name}; dashed: a frame is complete")
    _plain(axes)
    axes.tick_params(labelleft=False)
    if clock_mhz:
        scale = unit / clock_mhz / 1e3
        top = axes.secondary_xaxis("top", functions=(lambda x: x * scale, lambda x: x / scale))
        top.set_xlabel(f"ms at {clock_mhz:g} MHz", fontsize=8, color=INK)
        top.tick_params(labelsize=8, colors=INK, length=2)
        top.spines["top"].set_visible(False)


def _stepped(values: np.ndarray) -> np.ndarray:
    return np.append(values, values[-1])


def _unit(cycles: float) -> tuple[int, str]:
    if cycles >= 2e6:
        return 1_000_000, " (millions)"
    return (1_000, " (thousands)") if cycles >= 2e4 else (1, "")


def _plain(axes: "Axes") -> None:
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(colors=INK, length=0, labelsize=8)
    axes.xaxis.label.set(color=INK, fontsize=8)
