"""What a stage is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the command line lists the stages without loading pydantic
    from hwprune.recipe import Recipe


@dataclass(frozen=True)
class Outcome:
    """What a stage hands over when it is done.

    Attributes
    ----------
    artefacts
        Files that later stages and the user read, all in the run folder. A finished stage is held to their checksums.
    results
        JSON values for ``stage.json``, the summary and the report.

    Stages that read this one are run anew when either changes, so neither holds the time of day or how long something
    took, and logs are no artefacts.
    """

    artefacts: tuple[Path, ...]
    results: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StageContext:
    """What a running stage sees.

    Attributes
    ----------
    recipe
        The whole recipe; a stage looks at its `Stage.sections` only, or a change elsewhere would go unnoticed.
    folder
        The stage's own. Empty, or holding what an interrupted run of the very same fingerprint left.
    inputs
        Folders of the stages it reads, by kind.
    round
        Which time this is that the recipe sparsifies, prunes and fine-tunes; from 0.
    final
        Whether no later round follows.
    """

    recipe: "Recipe"
    folder: Path
    inputs: Mapping[str, Path]
    round: int = 0
    final: bool = True


@dataclass(frozen=True)
class Stage:
    """One step from images to a verified accelerator.

    Attributes
    ----------
    name
        Of the folder, and of its row in the report: the `kind`, which is the command, and from the second round of
        pruning on a number: ``prune``, ``prune-2``.
    about
        One line for the help: what it does.
    makes
        One line for the help: the files it leaves.
    reads
        Kinds of earlier stages whose artefacts it reads.
    sections
        Fields of the recipe that it depends on, the seed aside.
    run
        Does the work; heavy imports belong inside.
    version
        Raised when the same recipe would now give other artefacts, so that old ones are not taken for new.
    round, final
        Of pruning, as in `StageContext`.
    unfinished
        Whether its results say that more can be made of the same recipe, once something is there that was missing:
        then it is taken up again with what lies in its folder.
    played_by
        For kinds in `reads`, the name of the stage that is meant, where it is not the kind itself.
    """

    name: str
    about: str
    makes: str
    reads: tuple[str, ...]
    sections: tuple[str, ...]
    run: Callable[[StageContext], Outcome]
    version: int = 1
    round: int = 0
    final: bool = True
    played_by: Mapping[str, str] = field(default_factory=dict)
    unfinished: Callable[[Mapping[str, Any]], bool] = lambda results: False

    @property
    def kind(self) -> str:
        """Its name without the number of the round."""
        return kind(self.name)

    @property
    def sources(self) -> dict[str, str]:
        """Names of the stages that it reads, by kind."""
        return {read: self.played_by.get(read, read) for read in self.reads}


def kind(name: str) -> str:
    """What a stage of this name does: its name without the number of the round."""
    return name.partition("-")[0]
