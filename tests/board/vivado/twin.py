"""Vivado's Tcl shell as far as `commands.toml` knows it: runs a script, and refuses every name that it does not know.

Nothing is synthesised: blocks have pins, interfaces and address segments, runs leave the files that Vivado would leave.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.board.vivado.interpreter import Tcl, TclError, interpreters

KNOWN = tomllib.loads(Path(__file__).with_name("commands.toml").read_text())
MODULE = "module reference"


class TwinError(Exception):
    """What Vivado would not do."""


class Twin:
    """One session.

    Attributes
    ----------
    samples
        Text of the report that each command writes.
    fail_at
        Step of the runs that ends in error, with its message.
    interpreter
        Command that runs a file of Tcl, if not the first that is found.
    """

    def __init__(
        self,
        samples: dict[str, str],
        boards: tuple[str, ...] = (),
        version: str = "2022.2",
        fail_at: str = "",
        interpreter: list[str] | None = None,
    ):
        self.samples, self.boards, self.version_, self.fail_at = samples, boards, version, fail_at
        self.said: list[str] = []
        self.interpreter = interpreter
        self.project = self.bd = None
        self.files: dict[str, list[Path]] = {"sources_1": [], "constrs_1": []}
        self.cells: dict[str, dict] = {}
        self.nets: dict[str, str] = {}  # the driver of each pin that is driven
        self.links: dict[str, str] = {}  # the other end of each interface
        self.spaces: dict[tuple[str, str], str] = {}
        self.properties: dict[str, dict[str, str]] = {}
        self.status = {"synth_1": "", "impl_1": ""}
        self.opened = None
        self.validated = self.generated = False

    def source(self, script: Path) -> None:
        """Run a script; TwinError with what was wrong."""
        commands = {name: self._command(name) for name in KNOWN["commands"]}
        self.tcl = Tcl(commands | {"puts": self._said}, TwinError, self.interpreter or interpreters()[0])
        try:
            self.tcl.source(script)
        except TclError as error:
            raise TwinError(str(error)) from None

    def _said(self, text: str) -> str:
        self.said.append(text)
        return ""

    def _command(self, name: str):
        known = KNOWN["commands"][name]

        def call(*arguments):
            words, options = [], {}
            rest = list(arguments)
            while rest:
                word = rest.pop(0)
                if word in known.get("values", ()):
                    if not rest:
                        raise TwinError(f"{name}: {word} needs a value")
                    options[word] = rest.pop(0)
                elif word in known.get("flags", ()):
                    options[word] = "1"
                elif re.match(r"-[a-z_]+$", word):
                    raise TwinError(f"{name}: unknown option {word}")
                else:
                    words.append(word)
            least, most = known["words"]
            if not least <= len(words) <= most:
                raise TwinError(f"{name}: {len(words)} words, not {least} to {most}: {words}")
            return getattr(self, name)(words, options) or ""

        return call

    # projects and files

    def version(self, words, options):
        return self.version_

    def get_parts(self, words, options):
        return " ".join(part for part in KNOWN["parts"]["known"] if part == words[0])

    def get_board_parts(self, words, options):
        pattern = re.escape(words[0]).replace(r"\*", ".*")
        return " ".join(board for board in self.boards if re.fullmatch(pattern, board))

    def create_project(self, words, options):
        self._must(options.get("-part") in KNOWN["parts"]["known"], f"no part {options.get('-part')}")
        self.project = (words[0], Path(words[1]))
        (self.project[1]).mkdir(parents=True, exist_ok="-force" in options)

    def close_project(self, words, options):
        self._must(self.project, "no project is open")
        self.project = None

    def current_project(self, words, options):
        self._must(self.project, "no project is open")
        return "project:" + self.project[0]

    def add_files(self, words, options):
        fileset = options.get("-fileset", "sources_1")
        self._must(fileset in self.files, f"no fileset {fileset}")
        for name in self._list(words[0]):
            self._must(Path(name).is_file(), f"file {name} does not exist")
            self.files[fileset].append(Path(name))

    def update_compile_order(self, words, options):
        self._must(options.get("-fileset") in self.files, f"no fileset {options.get('-fileset')}")

    def get_filesets(self, words, options):
        self._must(words[0] in self.files, f"no fileset {words[0]}")
        return "fileset:" + words[0]

    def get_files(self, words, options):
        self._must(self.bd and words[0] == f"{self.bd}.bd", f"no file {words[0]}")
        return "bd_file:" + words[0]

    # properties

    def set_property(self, words, options):
        if "-dict" in options:
            pairs = self._list(options["-dict"])
            self._must(len(pairs) % 2 == 0 and len(words) == 1, f"set_property -dict {pairs}: not in pairs")
            pairs, what = list(zip(pairs[::2], pairs[1::2], strict=True)), words[0]
        else:
            self._must(len(words) == 3, f"set_property {words}: needs name, value, object")
            pairs, what = [tuple(words[:2])], words[2]
        for name, value in pairs:
            kind, _, _ = what.partition(":")
            if what.startswith("/"):
                known = {f"CONFIG.{p}" for p in KNOWN["blocks"][self._block(what[1:])].get("properties", ())}
                self._must(name in known, f"{what} has no property {name}")
                self.cells[what[1:]]["settings"][name.removeprefix("CONFIG.")] = value
            else:
                self._must(name in KNOWN["objects"].get(kind, ()), f"{what} has no property {name}")
                if name == "board_part":
                    self._must(value in self.boards, f"no board {value}")
                if name == "top":
                    self._must(value in self._modules(), f"no module {value}")
                self.properties.setdefault(what, {})[name] = value

    def get_property(self, words, options):
        name, what = words
        if name == "CONFIG.FREQ_HZ":
            self._must(self.validated and what in self._pins("out"), f"{what}: no frequency")
            return "100000000"
        self._must(what.startswith("run:"), f"{what} has no property {name}")
        run = what[4:]
        failed = "ERROR" in self.status[run]
        known = {
            "PROGRESS": "42%" if failed else "100%",
            "STATUS": self.status[run],
            "DIRECTORY": str(self._where(run)),
        }
        self._must(name in known, f"{what} has no property {name}")
        return known[name]

    # the block design

    def create_bd_design(self, words, options):
        self._must(self.project and not self.bd, "no project, or a block design already")
        self.bd = words[0]

    def get_ipdefs(self, words, options):
        block, _, pattern = words[0].rpartition(":")
        self._must(pattern == "*", f"get_ipdefs {words[0]}")
        return " ".join(f"{block}:{v}" for v in KNOWN["blocks"].get(block, {}).get("versions", ()))

    def create_bd_cell(self, words, options):
        self._must(self.bd and words[0] not in self.cells, f"cell {words[0]}")
        if options.get("-type") == "ip":
            block, _, version = options["-vlnv"].rpartition(":")
            self._must(version in KNOWN["blocks"].get(block, {}).get("versions", ()), f"no block {options['-vlnv']}")
            self.cells[words[0]] = {"block": block, "settings": {}}
        else:
            self._must(options.get("-type") == "module", f"create_bd_cell -type {options.get('-type')}")
            name = options["-reference"]
            source = self._modules().get(name)
            self._must(source, f"no module {name}")
            self._must(source.suffix == ".v", f"module {name} is in {source.name}: a reference must be Verilog or VHDL")
            self.cells[words[0]] = {"block": MODULE, "settings": {}, **_ports(source.read_text(), name)}
        return "/" + words[0]

    def apply_bd_automation(self, words, options):
        rule = options["-rule"]
        self._must(rule in KNOWN["objects"]["rules"], f"no rule {rule}")
        self._must(words and self._block(words[0][1:]) == rule.replace("bd_rule", "ip"), f"rule {rule} for {words}")
        config = self._list(options["-config"])
        given = dict(zip(config[::2], config[1::2], strict=True))
        allowed = {"make_external", "apply_board_preset", "Master", "Slave"}
        self._must(set(given) <= allowed, f"rule {rule}: {sorted(set(given) - allowed)}")
        has_board = any("board_part" in values for values in self.properties.values())
        self._must(given.get("apply_board_preset") == str(int(has_board)), "presets of a board that is not set")

    def get_bd_cells(self, words, options):
        self._must(words[0] in self.cells, f"no cell {words[0]}")
        return "/" + words[0]

    def get_bd_pins(self, words, options):
        self._must("/" + words[0] in {**self._pins("in"), **self._pins("out")}, f"no pin {words[0]}")
        return "/" + words[0]

    def get_bd_intf_pins(self, words, options):
        self._must("/" + words[0] in {**self._pins("master"), **self._pins("slave")}, f"no interface {words[0]}")
        return "/" + words[0]

    def connect_bd_net(self, words, options):
        drivers = [pin for pin in words if pin in self._pins("out")]
        self._must(len(drivers) == 1, f"a net with {len(drivers)} drivers: {words}")
        for pin in words:
            if pin not in drivers:
                self._must(pin in self._pins("in"), f"{pin} is no pin")
                self._must(pin not in self.nets, f"{pin} is driven twice")
                self.nets[pin] = drivers[0]

    def connect_bd_intf_net(self, words, options):
        masters, slaves = self._pins("master"), self._pins("slave")
        self._must(words[0] in masters and words[1] in slaves, f"{words}: not a master and a slave")
        for pin, other in (words, words[::-1]):
            self._must(pin not in self.links, f"{pin} is connected twice")
            self.links[pin] = other

    def get_bd_addr_spaces(self, words, options):
        cell, _, space = words[0].partition("/")
        self._must(cell in self.cells and space in self._spaces(cell), f"no address space {words[0]}")
        return "/" + words[0]

    def get_bd_addr_segs(self, words, options):
        segments = self._segments()
        pattern = re.escape("/" + words[0]).replace(r"\*", "[^/]*")
        found = [name for name in segments if re.fullmatch(pattern, name)]
        self._must(found or "-quiet" in options, f"no address segment {words[0]}; there are {segments}")
        return " ".join(found)

    def assign_bd_address(self, words, options):
        space, segment = options["-target_address_space"], words[0]
        self._must(segment in self._segments(), f"no address segment {segment}")
        offset, size = (int(options[key], 0) for key in ("-offset", "-range"))
        self._must(
            size >= 4096 and size & (size - 1) == 0 and offset % size == 0, f"{segment}: {offset:#x} + {size:#x}"
        )
        limit = self._segments()[segment]
        self._must(limit is None or size <= limit, f"{segment}: range {size:#x} is more than its port's {limit}")
        self.spaces[space, segment] = "assigned"

    def exclude_bd_addr_seg(self, words, options):
        self._must(words[0] in self._segments(), f"no address segment {words[0]}")
        self.spaces[options["-target_address_space"], words[0]] = "excluded"

    def validate_bd_design(self, words, options):
        for cell, content in self.cells.items():
            known = KNOWN["blocks"].get(content["block"], {})
            for pin in self._of(cell, "in"):
                self._must(
                    f"/{cell}/{pin}" in self.nets or pin in known.get("optional", ()), f"/{cell}/{pin} is not driven"
                )
            for side in ("master", "slave"):
                for pin in self._of(cell, side):
                    self._must(f"/{cell}/{pin}" in self.links, f"/{cell}/{pin} is not connected")
        assigned = sorted(segment for (_, segment), how in self.spaces.items() if how == "assigned")
        self._must(len(assigned) == 2, f"address segments assigned: {assigned}")
        reached = {segment for _, segment in self.spaces}
        ways = {segment for segment in self._segments() if segment.startswith(f"/ps/{assigned[0].split('/')[2]}/")}
        self._must(ways <= reached, f"segments neither assigned nor excluded: {sorted(ways - reached)}")
        self.validated = True

    def save_bd_design(self, words, options):
        self._must(self.bd, "no block design")

    def generate_target(self, words, options):
        self._must(self.validated and words == ["all", f"bd_file:{self.bd}.bd"], f"generate_target {words}")
        folder = self.project[1] / f"{self.project[0]}.gen" / "sources_1" / "bd" / self.bd / "hw_handoff"
        folder.mkdir(parents=True)
        (folder / f"{self.bd}.hwh").write_text("<EDKSYSTEM/>\n")
        self.generated = True

    def make_wrapper(self, words, options):
        self._must(
            self.generated and options.get("-files") == f"bd_file:{self.bd}.bd" and "-top" in options, "make_wrapper"
        )
        wrapper = self.project[1] / f"{self.bd}_wrapper.v"
        wrapper.write_text(f"module {self.bd}_wrapper ();\nendmodule\n")
        self._must("-import" in options, "the wrapper is not added")
        self.files[options["-fileset"]].append(wrapper)
        return str(wrapper)

    # runs and reports

    def get_runs(self, words, options):
        self._must(words[0] in self.status, f"no run {words[0]}")
        return "run:" + words[0]

    def launch_runs(self, words, options):
        (run,) = words
        self._must(run in self.status and int(options.get("-jobs", 1)) > 0, f"launch_runs {words}")
        self._must(
            self.properties.get("fileset:sources_1", {}).get("top") == f"{self.bd}_wrapper", "the top is not set"
        )
        self._check_sources()
        step = "synth_design" if run == "synth_1" else options.get("-to_step", "route_design")
        self._must(step in KNOWN["objects"]["steps"], f"no step {step}")
        self._must(run == "synth_1" or self.status["synth_1"] == "synth_design Complete!", "synthesis has not run")
        if step == "write_bitstream":
            self._must(self.status["impl_1"] == "route_design Complete!", "bitstream before routing")
        failed = self.fail_at and (self.fail_at == step or (self.fail_at == "place_design" and step == "route_design"))
        self.status[run] = f"{self.fail_at} ERROR" if failed else f"{step} Complete!"
        self._where(run).mkdir(parents=True, exist_ok=True)
        if step == "write_bitstream" and not failed:
            (self._where(run) / f"{self.bd}_wrapper.bit").write_bytes(b"bits")

    def wait_on_run(self, words, options):
        self._must(self.status.get(words[0]), f"run {words[0]} was not launched")

    def open_run(self, words, options):
        self._must(self.opened is None and "Complete" in self.status[words[0]], f"open_run {words}")
        self.opened = words[0]

    def close_design(self, words, options):
        self._must(self.opened, "no design is open")
        self.opened = None

    def report_utilization(self, words, options):
        self._report(options, "utilization" if self.opened == "impl_1" else "utilization_synth")

    def report_timing_summary(self, words, options):
        self._must(self.opened == "impl_1", "timing before routing")
        self._report(options, "timing")

    def report_power(self, words, options):
        self._report(options, "power")

    def _report(self, options, name):
        self._must(self.opened, "no design is open")
        Path(options["-file"]).write_text(self.samples.get(name, ""))

    def _where(self, run: str) -> Path:
        return self.project[1] / f"{self.project[0]}.runs" / run

    def _check_sources(self) -> None:
        """That every memory file of the sources is where they say, from wherever a run looks; and the constraints."""
        for path in self.files["sources_1"]:
            text = re.sub(r"//[^\n]*", "", path.read_text())
            for name in re.findall(r'"([^"\n]*\.(?:dat|mem|hex)|[^"\n]*/[^"\n]*)"', text):
                if "%" in name:  # a format: its directory comes as a parameter, which is looked at
                    continue
                self._must(Path(name).is_absolute(), f"{path}: memory file {name} is relative to who knows what")
                there = Path(name).is_file() or list(Path(name).parent.glob(Path(name).name + "*.dat"))
                self._must(there, f"{path}: memory file {name} does not exist")
        for path in self.files["constrs_1"]:
            for line in path.read_text().splitlines():
                if line and not line.startswith("#"):
                    match = re.fullmatch(r"set_property (\S+) \S+ \[current_design\]", line)
                    self._must(match and match[1] in KNOWN["objects"]["constraints"], f"{path}: {line}")

    # what there is

    def _modules(self) -> dict[str, Path]:
        found = {}
        for path in self.files["sources_1"]:
            found |= dict.fromkeys(re.findall(r"^\s*module\s+(\w+)", path.read_text(), re.MULTILINE), path)
        return found

    def _block(self, cell: str) -> str:
        self._must(cell in self.cells, f"no cell {cell}")
        return self.cells[cell]["block"]

    def _of(self, cell: str, side: str) -> list[str]:
        content = self.cells[cell]
        if content["block"] == MODULE:
            return content[side]
        known, settings = KNOWN["blocks"][content["block"]].get(side, {}), content["settings"]
        return [name for name, needs in known.items() if needs is True or settings.get(needs) == "1"]

    def _pins(self, side: str) -> dict[str, None]:
        return {f"/{cell}/{pin}": None for cell in self.cells for pin in self._of(cell, side)}

    def _spaces(self, cell: str) -> list[str]:
        content = self.cells[cell]
        return content["master"] if content["block"] == MODULE else KNOWN["blocks"][content["block"]].get("spaces", [])

    def _segments(self) -> dict[str, int | None]:
        """Address segments, and the most that each can have where its port limits it."""
        blocks = [cell for cell, content in self.cells.items() if content["block"] != MODULE]
        found = {f"/{cell}/{segment}": None for cell in blocks for segment in self._of(cell, "segments")}
        for cell, content in self.cells.items():
            if content["block"] == MODULE:
                found |= {f"/{cell}/{name}/reg0": 1 << content["address_bits"][name] for name in content["slave"]}
        return found

    def _list(self, text: str) -> list[str]:
        return self.tcl.split(text)

    @staticmethod
    def _must(true, otherwise: str) -> None:
        if not true:
            raise TwinError(otherwise)


def _ports(text: str, module: str) -> dict:
    """Pins and interfaces that Vivado infers from a module's attributes, and the address bits of each interface."""
    header = re.search(rf"module\s+{module}\s*\((.*?)\n\);", text, re.DOTALL)[1]
    ports = re.findall(
        r'X_INTERFACE_INFO = "([\w.]+:[\w.]+:[\w.]+:[\d.]+) (\w+) (\w+)" \*\)(?:\s*\(\*[^*]*\*\))*'
        r"\s*(input|output)\s+wire\s*(?:\[(\d+):0\]\s*)?(\w+)",
        header,
    )
    found: dict = {"in": [], "out": [], "master": [], "slave": [], "address_bits": {}}
    for kind, interface, logical, direction, high, port in ports:
        if ":signal:" in kind:
            found["in" if direction == "input" else "out"].append(port)
        elif logical == "AWVALID":
            found["slave" if direction == "input" else "master"].append(interface)
        elif logical == "AWADDR":
            found["address_bits"][interface] = int(high) + 1
    declared = re.findall(r"(?:input|output)\s+wire\s*(?:\[[^]]*\]\s*)?(\w+)", header)
    assert len(declared) == len(ports), "a port without an interface"
    return found
