"""The text of a darknet ``.cfg``: sections of ``key=value`` lines, each remembered with its line number."""

from pathlib import Path
from typing import Any

from hwprune.errors import UserError

_WAY_OUT = "mend this line, or give a cfg of a YOLOv3 network"
# Settings of a layer that matter to training only.
_TRAINING = {
    "convolutional": {"learning_rate", "burnin_update", "train_only_bn", "dontload", "dontloadscales", "stopbackward"},
    "yolo": {
        "num", "jitter", "ignore_thresh", "truth_thresh", "random", "max", "max_boxes", "map", "resize", "iou_thresh",
        "iou_loss", "iou_normalizer", "cls_normalizer", "obj_normalizer", "nms_kind", "beta_nms", "iou_thresh_kind",
        "focal_loss", "label_smooth_eps", "counters_per_class", "objectness_smooth", "max_delta",
    },
}  # fmt: skip


class Section:
    """One ``[kind]`` with its settings; whoever reads them all calls `finish`, which refuses any left over."""

    def __init__(self, path: Path, line: int, kind: str):
        self.path, self.line, self.kind = path, line, kind
        self._settings: dict[str, tuple[str, int]] = {}
        self._unread: set[str] = set()

    def put(self, line: int, key: str, value: str) -> None:
        """Remember one ``key=value``."""
        if key in self._settings:
            raise UserError(f"{self.path}, line {line}: {key} is given twice in [{self.kind}]; keep one")
        self._settings[key] = value, line
        self._unread.add(key)

    def error(self, complaint: str, key: str | None = None) -> UserError:
        """A complaint that names the file and the line of the setting ``key``, or of the section."""
        line = self._settings[key][1] if key in self._settings else self.line
        return UserError(f"{self.path}, line {line}: [{self.kind}]: {complaint}; {_WAY_OUT}")

    def text(self, key: str, default: str | None = None) -> str:
        """The setting's value."""
        self._unread.discard(key)
        if key not in self._settings:
            if default is None:
                raise self.error(f"{key} is missing")
            return default
        return self._settings[key][0]

    def numbers(self, key: str, kind: type, default: str | None = None, count: int | None = None) -> list[Any]:
        """The setting's comma-separated values as ``kind`` (int or float), ``count`` of them if given."""
        value = self.text(key, default)
        try:
            numbers = [kind(number) for number in value.rstrip(",").split(",")]
        except ValueError:
            numbers = []
        if not numbers or (count is not None and len(numbers) != count):
            wanted = f"{count or 'some'} {'whole number' if kind is int else 'number'}{'' if count == 1 else 's'}"
            raise self.error(f"{key}={value} should be {wanted}", key)
        return numbers

    def integer(self, key: str, default: int | None = None, *, least: int) -> int:
        """The setting's value, a whole number of at least ``least``."""
        (number,) = self.numbers(key, int, None if default is None else str(default), count=1)
        if number < least:
            raise self.error(f"{key}={number} should be {least} or more", key)
        return number

    def only(self, key: str, value: int | str) -> None:
        """Refuse every value of the setting but the one that changes nothing."""
        given = self.text(key, str(value))
        try:
            same = given == value if isinstance(value, str) else float(given) == value
        except ValueError:
            same = False
        if not same:
            raise self.error(f"{key}={given} is not understood; only {value} is", key)

    def finish(self) -> None:
        """Refuse a setting that nobody read: it could change what the network computes."""
        for key in sorted(self._unread - _TRAINING.get(self.kind, set()), key=lambda key: self._settings[key][1]):
            raise self.error(f"{key} is not understood", key)


def parse_cfg(path: Path) -> list[Section]:
    """The sections of a cfg, in order; at least one.

    Raises
    ------
    UserError
        If the file cannot be read or a line is neither a section, a setting, a comment nor blank.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error}); give a darknet .cfg") from error
    sections: list[Section] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = "".join(raw.split())  # darknet drops every space, inside a line too
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        if line[0] == "[":
            if line[-1] != "]" or len(line) < 3:
                raise UserError(f"{path}, line {number}: {raw.strip()!r} is no section; write [name]")
            sections.append(Section(path, number, line[1:-1]))
        elif not equals or not key or not sections:
            raise UserError(f"{path}, line {number}: {raw.strip()!r} is no setting of a section; {_WAY_OUT}")
        else:
            sections[-1].put(number, key, value)
    if not sections:
        raise UserError(f"{path}: has no section; give a darknet .cfg")
    return sections
