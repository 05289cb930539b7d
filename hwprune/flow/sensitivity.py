"""How much the score suffers when one layer alone loses channels: layer by layer, share by share.

For each group of layers that prune together, its least important channels go (by the recipe's method) while all other
layers stay whole, and what is left is measured without training (Li et al., "Pruning Filters for Efficient ConvNets",
ICLR 2017, section 3.2). Each measured point is kept, so an interrupted run goes on where it stopped.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hwprune.errors import UserError
from hwprune.files import write_json, write_text
from hwprune.flow.bars import bar
from hwprune.flow.pipeline import stages
from hwprune.flow.run_folder import RunFolder, json_hash
from hwprune.flow.runner import Runner
from hwprune.flow.stage import StageContext
from hwprune.flow.stages import common
from hwprune.flow.workers import Workers
from hwprune.recipe import Recipe

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor

    from hwprune.prune.groups import Group

FOLDER, POINTS, CHART = "sensitivity", "sensitivity.json", "sensitivity.svg"
SHARES = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
VERSION = 1


class Point(NamedTuple):
    """What is measured: a group of layers, the share of its channels that is asked for, and how many that makes."""

    layer: str
    share: float
    removed: int


def sensitivity(
    recipe: Recipe, folder: RunFolder, console: "Console", *, after: str = "sparsify", jobs: int = 1
) -> Path:
    """Measure the network that a stage has left, and write ``sensitivity/`` in the run folder: JSON and a chart.

    Parameters
    ----------
    recipe, folder
        The run; stages up to ``after`` that are missing or out of date are run first.
    console
        Says what stages do; the progress goes to stderr.
    after
        ``train`` or ``sparsify`` (of the first round).
    jobs
        Processes that measure.

    Returns
    -------
    Path
        Of the JSON.

    Raises
    ------
    UserError
        For whatever the user can mend.
    """
    runner = Runner(recipe, folder, stages(recipe.prune.rounds), console)
    runner.run_stages({"train", after})
    with folder.lock():
        source, out = folder.stage(after), folder.root / FOLDER
        record = folder.record(after)
        if record is None:
            raise UserError(f"{source}: has gone while the run was under way; run it again")
        subject = _Subject(recipe, source)
        if not subject.points:
            raise UserError(f"{source}: prune.method {recipe.prune.method} finds no layer that could lose a channel")
        settings = {"method": recipe.prune.method, "stage": after, "seed": recipe.seed, "metric": subject.metric}
        known = _Known(out / POINTS, json_hash({"of": record.digest, "version": VERSION, **settings, **subject.asked}))
        result = {**settings, "score": subject.score, "layers": subject.widths}
        missing = [point for point in subject.points if point not in known.scores]
        with (
            Workers(jobs, _Subject, (recipe, source), subject) as workers,
            bar("sensitivity", len(subject.points)) as to,
        ):
            for point, score in workers.map(missing):
                known.add(point, score, result)
                to(len(known.scores), f"sensitivity: {point.layer}")
        known.write(result)
        write_text(out / CHART, _chart(known.scores, subject))
    return out / POINTS


class _Subject:
    """A trained network with the validation images; made anew in each process that measures."""

    def __init__(self, recipe: Recipe, source: Path):
        from hwprune.prune.groups import channel_groups

        self.network, head = common.load_checkpoint(source)
        self.network.eval()
        context = StageContext(recipe, source, {})
        self._score, self.metric = common.scorer(context, head), common.metric(head)
        self.score = self._score(self.network)
        method = common.pruning(context, self.network)
        self.compensates = method.compensates
        self.importance: dict[str, Tensor] = method.select(self.network, 0, self._score)[0]
        self.groups: dict[str, Group] = {
            group.name: group for group in channel_groups(self.network.architecture) if group.name in self.importance
        }
        self.widths = {name: group.width for name, group in self.groups.items()}
        self.points = [
            Point(name, share, removed)
            for name, group in self.groups.items()
            for share, removed in _counts(group.width)
        ]
        self.asked = {"importance": {name: scores.tolist() for name, scores in self.importance.items()}}

    def __call__(self, point: Point) -> float:
        """The score without the least important channels of one group.

        More stay where the layers that read them need it (`hwprune.prune.balance`).
        """
        from hwprune.prune.balance import balance
        from hwprune.prune.settings import WidthSettings
        from hwprune.prune.surgery import prune

        order = self.importance[point.layer].argsort(stable=True).tolist()
        kept = {point.layer: tuple(sorted(order[point.removed :]))}
        free = WidthSettings(min_channels=1, multiple=1)
        kept = balance(self.network.architecture, {point.layer: self.importance[point.layer]}, kept, free)
        return self._score(prune(self.network, kept, compensate=self.compensates))


def _counts(width: int) -> Iterator[tuple[float, int]]:
    """Shares and the channels they make, each number of channels once; one channel stays."""
    before = 0
    for share in SHARES:
        removed = min(round(share * width), width - 1)
        if removed > before:
            yield share, removed
        before = removed


class _Known:
    """Measured points, written after each."""

    def __init__(self, path: Path, fingerprint: str):
        self._path, self._fingerprint = path, fingerprint
        self.scores: dict[Point, float] = {}
        try:
            content = json.loads(path.read_bytes())
            if content["fingerprint"] == fingerprint:
                points = content["points"]
                self.scores = {Point(p["layer"], p["share"], p["removed"]): p["score"] for p in points}
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: is no result of hwprune sensitivity ({error}); move it away") from None

    def add(self, point: Point, score: float, result: Mapping[str, Any]) -> None:
        self.scores[point] = score
        self.write(result)

    def write(self, result: Mapping[str, Any]) -> None:
        order = list(result["layers"])
        scores = sorted(self.scores.items(), key=lambda item: (order.index(item[0].layer), item[0].removed))
        points = [{**point._asdict(), "score": score} for point, score in scores]
        write_json(self._path, {**result, "points": points, "fingerprint": self._fingerprint})


def _chart(scores: Mapping[Point, float], subject: _Subject) -> str:
    from hwprune.report.figures import courses

    curves = {
        name: [(0.0, subject.score)] + [(100 * p.removed / width, score) for p, score in _of(scores, name)]
        for name, width in subject.widths.items()
    }
    return courses(curves, across="channels removed, %", upward=subject.metric)


def _of(scores: Mapping[Point, float], layer: str) -> Sequence[tuple[Point, float]]:
    return sorted((item for item in scores.items() if item[0].layer == layer), key=lambda item: item[0].removed)
