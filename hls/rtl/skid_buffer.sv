// Two-word elastic buffer: TVALID, TDATA and TREADY all leave from flip-flops, one beat a cycle.
// It ends every operator, so that no operator has a combinational path from one handshake to another.
module skid_buffer #(
    parameter int unsigned WIDTH = 8
) (
    input  logic             ap_clk,
    input  logic             ap_rst_n,

    input  logic [WIDTH-1:0] in_tdata,
    input  logic             in_tvalid,
    output logic             in_tready,

    output logic [WIDTH-1:0] out_tdata,
    output logic             out_tvalid,
    input  logic             out_tready
);

    if (WIDTH < 1) begin : g_check
        $error("skid_buffer: WIDTH=%0d is below 1", WIDTH);
    end

    logic             spare_full;
    logic [WIDTH-1:0] spare;

    assign in_tready = !spare_full;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            out_tvalid <= 1'b0;
            spare_full <= 1'b0;
        end else if (out_tready || !out_tvalid) begin
            out_tvalid <= in_tvalid || spare_full;
            spare_full <= 1'b0;
        end else begin
            spare_full <= in_tvalid || spare_full;
        end
    end

    always_ff @(posedge ap_clk) begin
        if (out_tready || !out_tvalid) out_tdata <= spare_full ? spare : in_tdata;
        if (!spare_full) spare <= in_tdata;
    end

endmodule
