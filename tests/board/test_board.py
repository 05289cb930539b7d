"""Boards as data."""

import pytest

from hwprune.accel.budget import Budget
from hwprune.board.board import boards, load_board
from hwprune.board.parts import budget, contents
from hwprune.errors import UserError

# Blocks of 18 Kb are twice the blocks of 36 Kb of the vendor's product tables.
PRODUCT_TABLES = {
    "pynq-z1": ("xc7z020clg400-1", 53_200, 106_400, 220, 2 * 140, 0),
    "pynq-z2": ("xc7z020clg400-1", 53_200, 106_400, 220, 2 * 140, 0),
    "ultra96-v2": ("xczu3eg-sbva484-1-i", 70_560, 141_120, 360, 2 * 216, 0),
    "kv260": ("xck26-sfvc784-2LV-c", 117_120, 234_240, 1248, 2 * 144, 64),
    "zcu104": ("xczu7ev-ffvc1156-2-e", 230_400, 460_800, 1728, 2 * 312, 96),
    "ulx3s-85f": ("LFE5U-85F-6BG381C", 83_640, 83_640, 156, 208, 0),
}


def test_there_are_these():
    assert set(boards()) == set(PRODUCT_TABLES)


@pytest.mark.parametrize("name", PRODUCT_TABLES)
def test_published_contents(name):
    board = load_board(name)
    has = board.resources
    assert (board.part, has.luts, has.ffs, has.dsps, has.brams, has.urams) == PRODUCT_TABLES[name]
    assert board.name == name and board.has_processor == (name != "ulx3s-85f")
    assert contents(board.part) == Budget(has.luts, has.dsps, has.brams)


def test_parts_that_no_board_has():
    assert contents("xc7z010clg400-1") == Budget(17_600, 80, 120)
    with pytest.raises(UserError, match=r"part 'xc9': .* xc7z020, "):
        contents("xc9")


def test_a_file_of_ones_own(tmp_path):
    file = tmp_path / "mine.toml"
    content = (load_board.__globals__["_shipped"]() / "pynq-z2.toml").read_text()
    file.write_text(content.replace("luts = 53200", "luts = 1000"))
    assert load_board(file).resources.luts == 1000 and load_board(file).name == "mine"
    for old, new, message in [
        ("luts = 53200", "lots = 53200", r"mine.toml: resources.luts: Field required\n.*resources.lots: Extra inputs"),
        ("data_bits = 64", "data_bits = 65", r"mine.toml: ports.data_bits: Input should be 32, 64 or 128"),
        ("registers = 0x43C0_0000", "registers = 0x43C0_1000", r"registers 0x43c01000 must be a multiple"),
        ("[clock]", "[clock", r"mine.toml: no valid TOML"),
        ("default_mhz = 100", "default_mhz = 300", r"default_mhz 300 is over max_mhz 250"),
        ("[memory]", "[memories]", r"memories: Extra"),
    ]:
        file.write_text(content.replace(old, new))
        with pytest.raises(UserError, match=message):
            load_board(file)


def test_unknown_boards_are_told_with_those_that_are_there(tmp_path):
    with pytest.raises(UserError, match=r"board 'pynqz2' is not known \(did you mean pynq-z2\?\); there are kv260"):
        load_board("pynqz2")
    with pytest.raises(UserError, match=r"none.toml: cannot be read"):
        load_board(tmp_path / "none.toml")


def test_a_share_of_a_board():
    board = load_board("pynq-z2")
    assert budget(board, 0.85) == Budget(luts=45_220, dsps=209, brams=266)
    assert budget(board, 0.5) == Budget(luts=26_600, dsps=132, brams=168)
    assert budget(board, 1.0) == contents(board.part)
