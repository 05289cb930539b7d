"""Which images are held out for validation: a rule written in the recipe, so that every run holds out the same."""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hwprune.data.problems import Problem
from hwprune.errors import UserError


class _Split(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FractionSplit(_Split):
    """Hold out a share of the images, chosen by a hash of their names: new images do not move the old ones."""

    rule: Literal["fraction"] = "fraction"
    val: Annotated[float, Field(gt=0, lt=1, description="Share of the images held out for validation, 0 to 1.")] = 0.2
    seed: Annotated[int, Field(ge=0, description="Another seed holds out other images.")] = 0

    def held_out(self, names: Sequence[str]) -> tuple[list[bool], list[Problem]]:
        """For each name, whether it is for validation; and what could not be used."""
        return [self._share(name) < self.val for name in names], []

    def _share(self, name: str) -> float:
        digest = hashlib.sha256(f"{self.seed}:{name}".encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") / 2**64


class PrefixSplit(_Split):
    """Hold out by the start of the file name: the rule for films and sources whose neighbours are near-copies."""

    rule: Literal["prefix"] = "prefix"
    val: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(
            min_length=1,
            description="Images whose file name starts with one of these are held out for validation; a prefix with "
            "a '/' is compared with the path below the data set's folder (images/val/).",
        ),
    ]

    def held_out(self, names: Sequence[str]) -> tuple[list[bool], list[Problem]]:
        """For each name, whether it is for validation; and what could not be used."""
        return [
            any((name if "/" in prefix else PurePosixPath(name).name).startswith(prefix) for prefix in self.val)
            for name in names
        ], []


class ListSplit(_Split):
    """Hold out the images that a text file names, one a line: by path, path without suffix, or bare file name."""

    rule: Literal["list"] = "list"
    val: Annotated[Path, Field(description="Text file that names the images held out for validation, one a line.")]

    def held_out(self, names: Sequence[str]) -> tuple[list[bool], list[Problem]]:
        """For each name, whether it is for validation; and the lines that name no image."""
        try:
            lines = self.val.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"data.split.val: {self.val} is no text file that can be read ({error}); give the file that lists "
                "the validation images, one a line"
            ) from None
        by_entry: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            path = PurePosixPath(name)
            for entry in {name, str(path.with_suffix("")), path.name, path.stem}:
                by_entry.setdefault(entry, []).append(index)
        held, problems = [False] * len(names), []
        for number, line in enumerate(map(str.strip, lines), start=1):
            if not line:
                continue
            path = PurePosixPath(line)
            # A list made elsewhere may begin with folders that are not here: then the file name decides.
            found = by_entry.get(str(path)) or by_entry.get(path.name) or by_entry.get(path.stem) or []
            if not found:
                problems.append(Problem(self.val, number, f"names no usable image: {line!r}"))
            for index in found:
                held[index] = True
        return held, problems


Split = Annotated[FractionSplit | PrefixSplit | ListSplit, Field(discriminator="rule")]


def split_indices(names: Sequence[str], split: Split) -> tuple[list[int], list[int], list[Problem]]:
    """Divide images by their names.

    Parameters
    ----------
    names
        Paths of the images below the data set's folder, with ``/`` between folders.
    split
        The rule.

    Returns
    -------
    train, val, problems
        Indices into ``names``, ascending, and the lines of a list that name no image.

    Raises
    ------
    UserError
        If either side is empty, or the list cannot be read.
    """
    held, problems = split.held_out(names)
    train = [index for index, out in enumerate(held) if not out]
    val = [index for index, out in enumerate(held) if out]
    for side, indices in (("training", train), ("validation", val)):
        if not indices:
            raise UserError(
                f"data.split: rule {split.rule!r} with val: {split.model_dump(mode='json')['val']} leaves no image for "
                f"{side} out of {len(names)} (the first is {names[0]!r}); change the rule"
                if names
                else "data.split: there is no image to split"
            )
    return train, val, problems
