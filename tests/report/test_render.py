import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from hwprune.errors import UserError
from hwprune.flow.detections import FILE, LEAST_SCORE, load_detections, save_detections
from hwprune.flow.pipeline import stages
from hwprune.report.contents import count
from hwprune.report.render import render_report
from tests.report import made_up

VOID = {"meta", "br", "img", "hr", "input", "link"}


class Page(HTMLParser):
    """A page's text and addresses; every element must be closed where HTML wants it."""

    def __init__(self, path: Path):
        super().__init__()
        self.text, self.addresses, self.tags, self.open = "", [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.addresses += [v for k, v in attrs if k in ("href", "src", "xlink:href", "action", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def of(self, tag, css=None):
        return [a for t, a in self.tags if t == tag and (css is None or css in a.get("class", "").split())]


@pytest.mark.parametrize("done", [0, 1, 3, 7, 8])
def test_any_part_of_a_run(tmp_path, done):
    made_up.make(tmp_path / "run", stages=made_up.ORDER[:done])
    path = render_report(tmp_path / "run")
    assert path == tmp_path / "run" / "report.html"
    page = Page(path)
    missing = re.search(r"not yet run: ([a-z, ]+)", page.text)
    assert (missing[1].split(", ") if missing else []) == list(made_up.ORDER[done:])
    for command, since in (("prune", 3), ("compile", 7), ("simulate", 8)):
        assert (f"hwprune {command} measures" in page.text.replace("\n", " ")) == (done < since)
    assert len([t for t, _ in page.tags if t == "section"]) == 7


def test_full_run_says_what_was_found(tmp_path):
    made_up.make(tmp_path / "run")
    page = Page(render_report(tmp_path / "run"))
    for said in ("0.887", "3.9×", "637 k to 164 k", "2,694", "304,128 beats on 11 streams agree", "48,211",
                 "37,120 cycles a frame", "conv12_MVAU", "5 min 01 s", "1,600 MiB",
                 "torch\xa02.12.1", "seed 1"):  # fmt: skip
        assert said in page.text, said
    layers = made_up.results("compile", 0)["layers"]
    for kind in ("lut", "dsp"):
        assert f"{sum(layer[kind] for layer in layers):,}" in page.text


def test_a_mismatch_is_not_hidden(tmp_path):
    made_up.make(tmp_path / "run", mismatches=5)
    page = Page(render_report(tmp_path / "run"))
    assert "5 of 304,128 beats on 11 streams differ" in page.text
    assert "agree" not in page.text
    assert page.of("strong", "bad") and page.of("b", "bad")


def test_stands_alone_and_comes_out_the_same(tmp_path):
    made_up.make(tmp_path / "run")
    first = render_report(tmp_path / "run").read_bytes()
    page = Page(tmp_path / "run" / "report.html")
    assert page.addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in page.addresses)
    assert not re.search(rb"url\((?!#)|@import|<script|<!DOCTYPE svg", first)
    assert render_report(tmp_path / "run").read_bytes() == first


def test_draws_each_box_once(tmp_path):
    made_up.make(tmp_path / "run")
    page = Page(render_report(tmp_path / "run"))
    assert len(page.of("rect", "truth")) == 2 * 5
    # Of the two predictions of each image, both are above the recipe's confidence of 0.3.
    assert len(page.of("rect", "found")) == 2 * 5
    assert "level quantized" in page.text


def test_names_from_the_data_are_text_not_markup(tmp_path):
    made_up.make(tmp_path / "run")
    path = render_report(tmp_path / "run")
    assert "cat <b>& 0.9" in Page(path).text
    assert "cat <b>" not in path.read_text()


def test_no_run_folder(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match="no run folder"):
            render_report(path)
    assert not list(tmp_path.iterdir())


def test_detections_come_back_as_saved(tmp_path):
    files = save_detections(tmp_path, "float", made_up.predict, made_up.Scenes(), made_up.HEAD, count=3)
    assert len(files) == 4 and all(path.is_file() for path in files)
    stored = load_detections(tmp_path)
    assert (stored.level, stored.classes, len(stored.images)) == ("float", made_up.HEAD.classes, 3)
    # Spread over the five images: 0, 1, 3.
    for example, index in zip(stored.images, (0, 1, 3), strict=True):
        image, target = made_up.Scenes()[index]
        with Image.open(example.image) as png:
            assert png.tobytes() == image.permute(1, 2, 0).numpy().tobytes()
        assert [list(t.box) for t in example.truth] == target["boxes"].tolist()
        best, second = example.predictions
        assert (best.label, second.label) == (0, 2)
        assert best.score > second.score > LEAST_SCORE
        # Anchor 40x30 in the middle of the first cell of stride 32, sigmoid(-6) of a cell from its corner.
        offset = 32 / (1 + 2.718281828459045**6)
        # Clipped at the image's edge.
        assert best.box == pytest.approx((0, 0, offset + 20, offset + 15), abs=1e-3)


@pytest.mark.parametrize("harm", ["json", "label", "image"])
def test_detections_that_are_damaged_count_as_none(tmp_path, harm):
    save_detections(tmp_path, "float", made_up.predict, made_up.Scenes(), made_up.HEAD, count=2)
    text = (tmp_path / FILE).read_text()
    match harm:
        case "json":
            (tmp_path / FILE).write_text(text[:-20])
        case "label":
            (tmp_path / FILE).write_text(text.replace('"label": 2', '"label": 3'))
        case "image":
            (tmp_path / "detections" / "1.png").unlink()
    assert load_detections(tmp_path) is None


@pytest.mark.parametrize(
    ("number", "text"), [(7, "7"), (999, "999"), (1000, "1 k"), (12345678, "12.3 M"), (5.57e9, "5.57 G")]
)
def test_count(number, text):
    assert count(number) == text


def test_every_stage_has_a_made_up_twin():
    assert tuple(stage.name for stage in stages()[:-1]) == made_up.ORDER


def test_what_was_built_is_a_card(tmp_path):
    from hwprune.flow.summary import summarise
    from hwprune.report.contents import cards

    summary = summarise({}, 1)
    assert not [card for card in cards(summary) if "clock" in card.label]
    summary["build"] |= {"backend": "vivado", "board": "pynq-z2", "fmax_mhz": 107.8,
                         "utilisation": {"lut": {"used": 26600, "available": 53200}}}  # fmt: skip
    (card,) = (card for card in cards(summary) if "clock" in card.label)
    assert (card.value, card.label, card.note) == ("108 MHz", "highest clock, vivado on pynq-z2", "50% of LUT")
