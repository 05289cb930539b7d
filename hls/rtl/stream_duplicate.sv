// Copies a stream to OUTPUTS consumers. A beat is taken when every copy has room for it; a consumer may lag behind another by the
// two words of a skid buffer. One beat a cycle.
module stream_duplicate #(
    parameter int unsigned OUTPUTS = 2,
    parameter int unsigned WIDTH   = 8
) (
    input  logic                          ap_clk,
    input  logic                          ap_rst_n,

    input  logic [WIDTH-1:0]              in_tdata,
    input  logic                          in_tvalid,
    output logic                          in_tready,

    output logic [OUTPUTS-1:0][WIDTH-1:0] out_tdata,
    output logic [OUTPUTS-1:0]            out_tvalid,
    input  logic [OUTPUTS-1:0]            out_tready
);

    if (OUTPUTS < 2) begin : g_check
        $error("stream_duplicate: OUTPUTS=%0d has to be at least 2", OUTPUTS);
    end

    logic [OUTPUTS-1:0] room;

    assign in_tready = &room;

    for (genvar i = 0; i < OUTPUTS; i++) begin : g_copy
        skid_buffer #(
            .WIDTH(WIDTH)
        ) skid (
            .ap_clk    (ap_clk),
            .ap_rst_n  (ap_rst_n),
            .in_tdata  (in_tdata),
            .in_tvalid (in_tvalid && in_tready),
            .in_tready (room[i]),
            .out_tdata (out_tdata[i]),
            .out_tvalid(out_tvalid[i]),
            .out_tready(out_tready[i])
        );
    end

endmodule
