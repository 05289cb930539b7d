"""Runs stages in order; what is finished and unchanged is kept."""

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from hwprune.detect.heads import METRICS
from hwprune.errors import UserError
from hwprune.files import sha256, write_json
from hwprune.flow.measure import peak_memory, reset_peak_memory, versions
from hwprune.flow.run_folder import RunFolder, StageRecord, json_hash
from hwprune.flow.stage import Outcome, Stage, StageContext, kind
from hwprune.flow.summary import SUMMARY, summarise
from hwprune.recipe import Recipe, save_recipe

HOW = frozenset({"accelerator", "devices", "workers", "cache_mib"})
"""Settings that say how the work is done, not what it is: another value keeps what is finished or under way."""

WAITS = "waits_for"
"""Of a stage's results: what has to be done elsewhere before it can do anything."""


class InterruptedStageError(KeyboardInterrupt):
    """Ctrl-C while a stage ran; carries its name."""

    def __init__(self, stage: str):
        super().__init__(stage)
        self.stage = stage


@dataclass
class Runner:
    """Runs a recipe in a run folder.

    Attributes
    ----------
    recipe, folder
        What to run, and where.
    stages
        All stages there are, in order: each reads earlier ones only.
    console
        One line a stage goes there.
    """

    recipe: Recipe
    folder: RunFolder
    stages: Sequence[Stage]
    console: Console

    def run(self, last: str | None = None) -> None:
        """Run the stage ``last`` (a kind: that of the last round) and all that it stands on, or every stage.

        Raises
        ------
        UserError
            For whatever the user can mend.
        InterruptedStageError
            After Ctrl-C; finished stages and the work in progress of this one are kept.
        """
        self.run_stages(self._needed(last))
        if last:
            for stage in self.stages:
                record = self.folder.record(stage.name) if stage.kind == last else None
                if record and record.results.get(WAITS):
                    raise UserError(f"stage {stage.name} has nothing to do yet: {record.results[WAITS]}")

    def run_stages(self, names: Collection[str]) -> None:
        """Run the stages of these names, which have to include all that they read; raises as `run` does."""
        with self.folder.lock():
            save_recipe(self.folder.root / "recipe.yaml", self.recipe)
            for stage in self.stages:
                if stage.name in names:
                    self._bring_up_to_date(stage)
                    self._write_summary()

    def fingerprint(self, stage: Stage) -> str:
        """Hash of all that a stage's artefacts depend on; the stages it reads must be finished.

        Those stages count by what they made: one that was run again and gave the same changes
        nothing further down.
        """
        recipe = self.recipe.on_which_depends(stage.kind, stage.round, stage.final)
        return json_hash(
            {
                "stage": stage.name,
                "version": stage.version,
                "seed": self.recipe.seed,
                "sections": {name: _what(recipe[name]) for name in stage.sections},
                "inputs": self._digests(stage),
            }
        )

    def _needed(self, last: str | None) -> set[str]:
        by_name = {stage.name: stage for stage in self.stages}
        if last is None:
            return set(by_name)
        needed, queue = set(), [[name for name in by_name if last in (name, kind(name))][-1]]
        while queue:
            name = queue.pop()
            if name not in needed:
                needed.add(name)
                queue += by_name[name].sources.values()
        return needed

    def _digests(self, stage: Stage) -> dict[str, str]:
        digests = {}
        for name in stage.sources.values():
            record = self.folder.record(name)
            if record is None:
                raise UserError(f"{self.folder.stage(name)}: has gone while the run was under way; run it again")
            digests[name] = record.digest
        return digests

    def _bring_up_to_date(self, stage: Stage) -> None:
        fingerprint = self.fingerprint(stage)
        record = self.folder.record(stage.name)
        if record and record.fingerprint == fingerprint:
            damage = self.folder.damage(record)
            if not damage and stage.unfinished(record.results):
                self.folder.reopen(stage.name, fingerprint)
            elif not damage:
                self._say(stage, f"kept, unchanged ({duration(record.seconds)} when it ran)")
                return
            else:
                self._say(stage, f"{'; '.join(damage)}: run again", style="yellow")
        elif record:
            self._say(stage, "the recipe or an earlier stage has changed: run again")
        resumed = self.folder.begin(stage.name, fingerprint)
        self._say(stage, "goes on where it was interrupted" if resumed else stage.about)
        record = self._run(stage, fingerprint)
        self.folder.finish(record)
        self._say(stage, f"done in {duration(record.seconds)}{_headline(record)}", style="green")

    def _run(self, stage: Stage, fingerprint: str) -> StageRecord:
        folder = self.folder.stage(stage.name)
        inputs = {read: self.folder.stage(name) for read, name in stage.sources.items()}
        context = StageContext(self.recipe, folder, inputs, stage.round, stage.final)
        reset_peak_memory()
        start = time.monotonic()
        try:
            outcome = stage.run(context)
        except KeyboardInterrupt:
            raise InterruptedStageError(stage.name) from None
        except SystemExit as error:
            # Lightning ends the whole process after Ctrl-C.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise InterruptedStageError(stage.name) from None
            raise
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("", "hwprune"):
                raise
            raise UserError(
                f"stage {stage.name}: the Python package {package} is not installed; "
                "`hwprune doctor` tells what each stage needs and how to get it"
            ) from error
        return StageRecord(
            stage=stage.name,
            fingerprint=fingerprint,
            inputs=self._digests(stage),
            artefacts=_checksums(folder, outcome),
            results=outcome.results,
            seed=self.recipe.seed,
            seconds=round(time.monotonic() - start, 3),
            peak_memory_bytes=peak_memory(),
            versions=versions(),
            finished=datetime.now().astimezone().isoformat(timespec="seconds"),
        )

    def _write_summary(self) -> None:
        records = self.folder.records([stage.name for stage in self.stages])
        write_json(self.folder.root / SUMMARY, summarise(records, self.recipe.seed))

    def _say(self, stage: Stage, text: str, style: str = "default") -> None:
        width = max(len(s.name) for s in self.stages)
        self.console.print(
            f"[bold]{stage.name:{width}}[/]  [{style}]{escape(text)}[/]", highlight=False, soft_wrap=True
        )


def _what(section: Any) -> Any:
    return {key: value for key, value in section.items() if key not in HOW} if isinstance(section, dict) else section


def duration(seconds: float) -> str:
    """Seconds as people say them: ``0.4 s``, ``41 s``, ``3 min 12 s``, ``2 h 05 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _checksums(folder: Path, outcome: Outcome) -> dict[str, str]:
    for path in outcome.artefacts:
        if not path.resolve().is_relative_to(folder.parent.resolve()):
            raise ValueError(f"artefact {path} lies outside of the run folder")
    return {os.path.relpath(path, folder): sha256(path) for path in sorted(outcome.artefacts)}


def _headline(record: StageRecord) -> str:
    scores = {metric.name: record.results.get(key) for key, metric in METRICS.items()}
    return "".join(f", {name} {score:.3f}" for name, score in scores.items() if isinstance(score, float))
