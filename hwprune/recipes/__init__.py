"""Ready recipes, installed with the package."""

from pathlib import Path

from hwprune.errors import UserError


def ready_recipes() -> list[Path]:
    """The ready recipes, by name."""
    return sorted(Path(__file__).parent.glob("*.yaml"))


def ready_recipe(name: str) -> Path:
    """The ready recipe called ``name``.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    found = {path.stem: path for path in ready_recipes()}
    if name not in found:
        raise UserError(f"no ready recipe is called {name!r}; there are: {', '.join(found)}")
    return found[name]
