// Beats of another width: the bits of a stream stay in their order. The narrower side has a beat in every cycle; where
// neither width divides the other, each side moves as often as the other one's rate lets it.
//
// A converter is small if data never choose among places to be written to, for a flip-flop's enable costs nothing:
// - to a multiple (join): early beats shift through registers, and the last one takes them all to the output;
// - to a divisor (split): a beat waits in front of the one that a multiplexer reads parts of;
// - else (ring): a ring of as many bits as both widths divide, written by whole input beats, read by whole output beats.
module width_converter #(
    parameter int unsigned IN_BITS  = 8,
    parameter int unsigned OUT_BITS = 16
) (
    input  logic                ap_clk,
    input  logic                ap_rst_n,

    input  logic [IN_BITS-1:0]  in_tdata,
    input  logic                in_tvalid,
    output logic                in_tready,

    output logic [OUT_BITS-1:0] out_tdata,
    output logic                out_tvalid,
    input  logic                out_tready
);

    if (IN_BITS < 1 || OUT_BITS < 1 || IN_BITS == OUT_BITS) begin : g_check
        $error("width_converter: IN_BITS=%0d and OUT_BITS=%0d have to be at least 1, and different", IN_BITS, OUT_BITS);
    end

    function automatic int unsigned common(input int unsigned a, input int unsigned b);
        return b == 0 ? a : common(b, a % b);
    endfunction

    if (OUT_BITS % IN_BITS == 0) begin : g_join

        localparam int unsigned PARTS = OUT_BITS / IN_BITS;

        logic [OUT_BITS-IN_BITS-1:0] early;  // the beats before the last one, the first one lowest in the end
        logic [$clog2(PARTS)-1:0]    count;

        wire last = count == ($clog2(PARTS))'(PARTS - 1);
        wire take = in_tvalid && in_tready;

        assign in_tready = !(last && out_tvalid);

        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) begin
                count      <= '0;
                out_tvalid <= 1'b0;
            end else begin
                if (take) count <= last ? '0 : count + 1'b1;
                if (take && last) out_tvalid <= 1'b1;
                else if (out_tready) out_tvalid <= 1'b0;
            end
        end

        always_ff @(posedge ap_clk) begin
            if (take) early <= (OUT_BITS - IN_BITS)'({in_tdata, early} >> IN_BITS);
            if (take && last) out_tdata <= {in_tdata, early};
        end

    end else if (IN_BITS % OUT_BITS == 0) begin : g_split

        localparam int unsigned PARTS = IN_BITS / OUT_BITS;

        logic [IN_BITS-1:0]       waiting, current;
        logic                     full;  // whether a beat waits
        logic [$clog2(PARTS)-1:0] count;

        wire last = count == ($clog2(PARTS))'(PARTS - 1);
        wire pass = full && (!out_tvalid || (last && out_tready));

        assign in_tready = !full;
        assign out_tdata = current[count*OUT_BITS+:OUT_BITS];

        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) begin
                count      <= '0;
                full       <= 1'b0;
                out_tvalid <= 1'b0;
            end else begin
                if (out_tvalid && out_tready) count <= last ? '0 : count + 1'b1;
                full <= full ? !pass : in_tvalid;
                if (pass) out_tvalid <= 1'b1;
                else if (last && out_tready) out_tvalid <= 1'b0;
            end
        end

        always_ff @(posedge ap_clk) begin
            if (!full) waiting <= in_tdata;
            if (pass) current <= waiting;
        end

    end else begin : g_ring

        // In units of the greatest common divisor: a beat of each side, and so many beats of the other in the ring.
        localparam int unsigned UNIT       = common(IN_BITS, OUT_BITS);
        localparam int unsigned IN         = IN_BITS / UNIT;
        localparam int unsigned OUT        = OUT_BITS / UNIT;
        localparam int unsigned COUNT_BITS = $clog2(IN * OUT + 1);

        logic [OUT-1:0][IN_BITS-1:0] ring;
        logic [OUT-1:0]              place;  // of the next input, one-hot
        logic [$clog2(IN)-1:0]       index;  // of the output
        logic [COUNT_BITS-1:0]       held;

        wire take = in_tvalid && in_tready;
        wire send = out_tvalid && out_tready;

        assign in_tready  = held <= COUNT_BITS'(IN * OUT - IN);
        assign out_tvalid = held >= COUNT_BITS'(OUT);

        wire [IN-1:0][OUT_BITS-1:0] words = ring;
        assign out_tdata = words[index];

        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) begin
                held  <= '0;
                index <= '0;
                place <= OUT'(1);
            end else begin
                held <= held + (take ? COUNT_BITS'(IN) : '0) - (send ? COUNT_BITS'(OUT) : '0);
                if (send) index <= index == ($clog2(IN))'(IN - 1) ? '0 : index + 1'b1;
                if (take) place <= {place[OUT-2:0], place[OUT-1]};
            end
        end

        // What is written before a beat comes is written over.
        for (genvar i = 0; i < OUT; i++) begin : g_place
            always_ff @(posedge ap_clk) if (place[i] && in_tready) ring[i] <= in_tdata;
        end

    end

endmodule
