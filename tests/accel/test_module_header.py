"""Ports of modules in the shapes that FINN and we write them."""

import pytest

from hwprune.accel.module_header import defined_modules, module_ports
from hwprune.errors import UserError

PLAIN = """
// module commented(input not_a_port);
/* module also_not (); */
module first #(parameter W = (8 + 1), parameter FILE = "./a//b(,.dat", localparam int P = {2{1'b1}})(
    (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF in0_V:out0_V, ASSOCIATED_RESET ap_rst_n" *)
    input   ap_clk, // the clock, (high)
    input wire signed [W-1:0] a, b,
    input logic [$clog2(W) - 1:0][3:0] \tc [W],
    output reg d = 1'b0,
    inout e
);
    reg inner; always @(*) inner = a; always @(*) d = b;
endmodule
module second import some_pkg::*; (input x, output reg y); always @(*) y = x; endmodule
module third; endmodule
"""


def test_directions_in_order():
    assert module_ports(PLAIN, "first") == {
        "ap_clk": "input",
        "a": "input",
        "b": "input",
        "c": "input",
        "d": "output",
        "e": "inout",
    }


def test_only_modules_outside_comments_and_strings():
    assert defined_modules(PLAIN) == ["first", "second", "third"]


@pytest.mark.parametrize(
    ("text", "module", "message"),
    [
        (PLAIN, "fourth", "fourth"),
        (PLAIN, "commented", "commented"),
        (PLAIN, "third", "no port list"),
        ("module old(a, b); input a; output b; endmodule", "old", "port a has no direction"),
        ("module cut(input a", "cut", "does not end"),
    ],
)
def test_what_cannot_be_read_is_named(text, module, message):
    with pytest.raises(UserError, match=message):
        module_ports(text, module)
