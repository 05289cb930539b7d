// Offsets and fields of the shell's registers, made by `python -m hwprune.board.registers`.
/* verilator lint_off UNUSEDPARAM */
package shell_registers_pkg;
    localparam logic [31:0] IDENTIFIER_VALUE = 32'h68777072;
    localparam logic [31:0] VERSION_VALUE = 32'h00010000;
    localparam logic [11:0] IDENTIFIER = 12'h000;
    localparam logic [11:0] VERSION = 12'h004;
    localparam logic [11:0] DESIGN = 12'h008;
    localparam logic [11:0] CONTROL = 12'h00c;
    localparam int unsigned CONTROL_START = 0;
    localparam int unsigned CONTROL_RESET = 1;
    localparam int unsigned CONTROL_BITS = 2;
    localparam logic [11:0] STATUS = 12'h010;
    localparam int unsigned STATUS_BUSY = 0;
    localparam int unsigned STATUS_FULL = 1;
    localparam int unsigned STATUS_RESETTING = 2;
    localparam int unsigned STATUS_BITS = 3;
    localparam logic [11:0] INTERRUPT_ENABLE = 12'h014;
    localparam int unsigned INTERRUPT_ENABLE_FRAME = 0;
    localparam int unsigned INTERRUPT_ENABLE_IDLE = 1;
    localparam int unsigned INTERRUPT_ENABLE_ERROR = 2;
    localparam int unsigned INTERRUPT_ENABLE_BITS = 3;
    localparam logic [11:0] INTERRUPT = 12'h018;
    localparam int unsigned INTERRUPT_FRAME = 0;
    localparam int unsigned INTERRUPT_IDLE = 1;
    localparam int unsigned INTERRUPT_ERROR = 2;
    localparam int unsigned INTERRUPT_BITS = 3;
    localparam logic [11:0] ERROR = 12'h01c;
    localparam int unsigned ERROR_READ_SLAVE = 0;
    localparam int unsigned ERROR_READ_DECODE = 1;
    localparam int unsigned ERROR_WRITE_SLAVE = 2;
    localparam int unsigned ERROR_WRITE_DECODE = 3;
    localparam int unsigned ERROR_UNALIGNED = 4;
    localparam int unsigned ERROR_OVERFLOW = 5;
    localparam int unsigned ERROR_NO_FRAMES = 6;
    localparam int unsigned ERROR_BITS = 7;
    localparam logic [11:0] READ_ERROR_ADDRESS = 12'h020;
    localparam logic [11:0] WRITE_ERROR_ADDRESS = 12'h028;
    localparam logic [11:0] FRAMES_COMMANDED = 12'h030;
    localparam logic [11:0] FRAMES_FINISHED = 12'h034;
    localparam logic [11:0] FRAME_CYCLES = 12'h038;
    localparam logic [11:0] BUSY_CYCLES = 12'h040;
    localparam logic [11:0] FRAMES = 12'h048;
    localparam int unsigned FRAMES_COUNT = 0;
    localparam int unsigned FRAMES_BITS = 16;
    localparam logic [11:0] INPUT_ADDRESS = 12'h050;
    localparam logic [11:0] OUTPUT_ADDRESS = 12'h058;
endpackage
/* verilator lint_on UNUSEDPARAM */
