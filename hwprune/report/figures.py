"""The report's charts, as SVG text to stand in a page."""

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, SOFT, LINE = "#1f2933", "#9fb3c8", "#d9e2ec"
BLUE, ORANGE = "#2563eb", "#ea8a2e"
WIDTH = 7.2  # inches


def bars_of_shares(labels: Sequence[str], values: Sequence[float], *, axis: str) -> str:
    """Upright bars of shares, 0 to 1, with their values on top."""
    figure, axes = _axes(2.6)
    drawn = axes.bar(labels, values, width=0.62, color=BLUE)
    axes.bar_label(drawn, [f"{value:.3f}" for value in values], padding=2, color=INK, fontsize=9)
    axes.set_ylabel(axis)
    axes.set_ylim(0, 1.1)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    return _svg(figure)


def lying_bars(labels: Sequence[str], values: Sequence[float], *, axis: str) -> str:
    """Lying bars, the first on top, the longest in the second colour."""
    figure, axes = _axes(0.9 + 0.24 * len(labels))
    longest = max(values)
    drawn = axes.barh(range(len(labels)), values, height=0.66,
                      color=[ORANGE if value == longest else BLUE for value in values])  # fmt: skip
    axes.bar_label(drawn, [f"{value:,.0f}" for value in values], padding=3, color=INK, fontsize=8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(axis)
    axes.margins(x=0.12, y=0.02)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return _svg(figure)


def before_after(labels: Sequence[str], before: Sequence[float], after: Sequence[float], *, axis: str) -> str:
    """For each label, what is left in front of what there was."""
    figure, axes = _axes(2.8)
    axes.bar(labels, before, width=0.72, color=LINE, label="before")
    drawn = axes.bar(labels, after, width=0.72, color=BLUE, label="after")
    axes.bar_label(drawn, [f"{value:g}" for value in after], padding=2, color=INK, fontsize=8)
    axes.set_ylabel(axis)
    axes.tick_params(axis="x", labelsize=8)
    axes.legend(frameon=False, loc="upper left", ncols=2)
    axes.margins(y=0.22)
    return _svg(figure)


def courses(curves: Mapping[str, Sequence[tuple[float, float]]], *, across: str, upward: str) -> str:
    """A line of points for each name, from the first (dark) to the last (light)."""
    figure, axes = _axes(max(3.2, 0.6 + 0.17 * len(curves)))
    colours = matplotlib.colormaps["viridis"]
    for number, (name, points) in enumerate(curves.items()):
        colour = colours(0.9 * number / max(1, len(curves) - 1))
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1.2, color=colour, label=name)
    axes.set_xlabel(across)
    axes.set_ylabel(upward)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return _svg(figure)


def panels(panels: Mapping[str, Sequence[tuple[float, float]]], labels: Sequence[str], *, upward: str) -> str:
    """The same points side by side over several axes, each point with its label."""
    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    for axes, (across, points) in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(),
                                      strict=True):  # fmt: skip
        _bare(axes)
        axes.grid(axis="x", color=LINE, linewidth=0.8)
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, linewidth=1, color=BLUE)
        for label, point in zip(labels, points, strict=True):
            axes.annotate(label, point, (0, 4), textcoords="offset points", ha="center", fontsize=7, color=INK)
        axes.set_xlabel(across, fontsize=9)
        axes.xaxis.label.set_color(INK)
        axes.margins(x=0.12, y=0.12)
    figure.axes[0].set_ylabel(upward)
    return _svg(figure)


def _axes(height: float) -> tuple[Figure, Axes]:
    # Made without pyplot, which keeps figures alive and looks for a display.
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    _bare(axes)
    return figure, axes


def _bare(axes: Axes) -> None:
    """Without frame and marks, with a light grid."""
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(SOFT)
    axes.tick_params(colors=INK, length=0, labelsize=9)
    axes.yaxis.label.set_color(INK)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    # A fixed salt and no date: the same run gives the same file.
    with matplotlib.rc_context({"svg.hashsalt": "hwprune", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    svg = text.getvalue()
    # Without the document type, whose address points out of the file.
    return svg[svg.index("<svg") :]
