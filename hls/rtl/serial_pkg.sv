// Protocol of the serial port; hwprune/board/serial_host.py is its other side. Numbers are sent lowest byte first.
//   request   A5  operation  length (2 bytes)  payload                 crc (2 bytes)
//   reply     5A  operation  length (2 bytes)  payload  status (1)     crc (2 bytes)
// The CRC (CRC-16/CCITT-FALSE: polynomial 1021, start FFFF) is over all before it but the first byte. The host waits for the reply
// before its next request. A request that breaks off is forgotten after a silence of GAP_BITS bits.
package serial_pkg;

    /* verilator lint_off UNUSEDPARAM */
    localparam logic [7:0]  REQUEST = 8'hA5;
    localparam logic [7:0]  REPLY   = 8'h5A;
    localparam logic [15:0] MAGIC   = 16'h7768;
    localparam logic [7:0]  VERSION = 8'd1;
    localparam int unsigned GAP_BITS = 200;
    localparam int unsigned MAX_PAYLOAD = 256;  // bytes of a request
    /* verilator lint_on UNUSEDPARAM */

    typedef enum logic [7:0] {
        OP_RESET  = 8'd1,  // accelerator and counters; the loaded frame is forgotten
        OP_STATUS = 8'd2,  // reply: see serial_port.sv
        OP_LOAD   = 8'd3,  // beat (4), then whole beats: into the frame memory from that beat on
        OP_RUN    = 8'd4,  // frames (2): send the loaded frame so many times without a gap
        OP_READ   = 8'd5   // output (1), beat (4), bytes (2): the last frame's beats of an output from that beat on
    } operation_t;

    typedef enum logic [7:0] {
        OK         = 8'd0,
        BAD_CRC    = 8'd1,
        BAD_OP     = 8'd2,
        BAD_LENGTH = 8'd3,  // of the payload: too long, or no whole beats
        BAD_RANGE  = 8'd4,  // beyond the frame, or a part before it is not loaded, or there is no such output
        BUSY       = 8'd5,  // a run is under way
        NOT_LOADED = 8'd6
    } status_t;

    function automatic logic [15:0] crc16(input logic [15:0] crc, input logic [7:0] data);
        crc16 = crc ^ {data, 8'h00};
        for (int unsigned i = 0; i < 8; i++) crc16 = {crc16[14:0], 1'b0} ^ (crc16[15] ? 16'h1021 : 16'h0000);
    endfunction

endpackage
