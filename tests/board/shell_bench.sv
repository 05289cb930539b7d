// The shell as cocotbext-axi's models want it: with transaction identifiers, here constant. It checks on the way that handshakes
// keep their promises, that bursts stay within their bounds, and that no reset comes while a burst is under way; and it can delay
// what the memory answers.
module shell_bench #(
    parameter int unsigned ADDRESS_BITS = 32,
    parameter int unsigned DATA_BITS    = 64,
    parameter int unsigned MAX_BURST    = 16,
    parameter int unsigned LATENCY      = 0   // cycles
) (
    input  logic                    aclk,
    input  logic                    aresetn,
    input  logic [11:0]             s_axi_control_awaddr,
    input  logic                    s_axi_control_awvalid,
    output logic                    s_axi_control_awready,
    input  logic [31:0]             s_axi_control_wdata,
    input  logic [3:0]              s_axi_control_wstrb,
    input  logic                    s_axi_control_wvalid,
    output logic                    s_axi_control_wready,
    output logic [1:0]              s_axi_control_bresp,
    output logic                    s_axi_control_bvalid,
    input  logic                    s_axi_control_bready,
    input  logic [11:0]             s_axi_control_araddr,
    input  logic                    s_axi_control_arvalid,
    output logic                    s_axi_control_arready,
    output logic [31:0]             s_axi_control_rdata,
    output logic [1:0]              s_axi_control_rresp,
    output logic                    s_axi_control_rvalid,
    input  logic                    s_axi_control_rready,
    output logic                    m_axi_memory_awid,
    output logic [ADDRESS_BITS-1:0] m_axi_memory_awaddr,
    output logic [7:0]              m_axi_memory_awlen,
    output logic [2:0]              m_axi_memory_awsize,
    output logic [1:0]              m_axi_memory_awburst,
    output logic                    m_axi_memory_awlock,
    output logic [3:0]              m_axi_memory_awcache,
    output logic [2:0]              m_axi_memory_awprot,
    output logic [3:0]              m_axi_memory_awqos,
    output logic                    m_axi_memory_awvalid,
    input  logic                    m_axi_memory_awready,
    output logic [DATA_BITS-1:0]    m_axi_memory_wdata,
    output logic [DATA_BITS/8-1:0]  m_axi_memory_wstrb,
    output logic                    m_axi_memory_wlast,
    output logic                    m_axi_memory_wvalid,
    input  logic                    m_axi_memory_wready,
    input  logic                    m_axi_memory_bid,
    input  logic [1:0]              m_axi_memory_bresp,
    input  logic                    m_axi_memory_bvalid,
    output logic                    m_axi_memory_bready,
    output logic                    m_axi_memory_arid,
    output logic [ADDRESS_BITS-1:0] m_axi_memory_araddr,
    output logic [7:0]              m_axi_memory_arlen,
    output logic [2:0]              m_axi_memory_arsize,
    output logic [1:0]              m_axi_memory_arburst,
    output logic                    m_axi_memory_arlock,
    output logic [3:0]              m_axi_memory_arcache,
    output logic [2:0]              m_axi_memory_arprot,
    output logic [3:0]              m_axi_memory_arqos,
    output logic                    m_axi_memory_arvalid,
    input  logic                    m_axi_memory_arready,
    input  logic                    m_axi_memory_rid,
    input  logic [DATA_BITS-1:0]    m_axi_memory_rdata,
    input  logic [1:0]              m_axi_memory_rresp,
    input  logic                    m_axi_memory_rlast,
    input  logic                    m_axi_memory_rvalid,
    output logic                    m_axi_memory_rready,
    output logic                    interrupt
);

    assign m_axi_memory_awid = 1'b0;
    assign m_axi_memory_arid = 1'b0;

    // Delays need no back-pressure: the shell is always ready for answers.
    logic [DATA_BITS+3:0] read_answer, late_read;
    logic [2:0]           write_answer, late_write;
    logic                 rready, bready;

    assign read_answer         = {m_axi_memory_rvalid, m_axi_memory_rlast, m_axi_memory_rresp, m_axi_memory_rdata};
    assign write_answer        = {m_axi_memory_bvalid, m_axi_memory_bresp};
    assign m_axi_memory_rready = LATENCY != 0 || rready;
    assign m_axi_memory_bready = LATENCY != 0 || bready;

    if (LATENCY == 0) begin : g_now
        assign late_read  = read_answer;
        assign late_write = write_answer;
    end else begin : g_late
        logic [LATENCY-1:0][DATA_BITS+3:0] reads;
        logic [LATENCY-1:0][2:0]           writes;
        always_ff @(posedge aclk) begin
            reads  <= aresetn ? {reads[LATENCY-2:0], read_answer} : '0;
            writes <= aresetn ? {writes[LATENCY-2:0], write_answer} : '0;
        end
        assign late_read  = reads[LATENCY-1];
        assign late_write = writes[LATENCY-1];
    end

    hwprune_shell shell (
        .m_axi_memory_rvalid(late_read[DATA_BITS+3]),
        .m_axi_memory_rlast (late_read[DATA_BITS+2]),
        .m_axi_memory_rresp (late_read[DATA_BITS+1:DATA_BITS]),
        .m_axi_memory_rdata (late_read[DATA_BITS-1:0]),
        .m_axi_memory_rready(rready),
        .m_axi_memory_bvalid(late_write[2]),
        .m_axi_memory_bresp (late_write[1:0]),
        .m_axi_memory_bready(bready),
        .*
    );

    // A channel that is valid and not taken stays as it is.
    logic [2:0]                      waiting;
    logic [ADDRESS_BITS+7:0]         aw, ar;
    logic [DATA_BITS+DATA_BITS/8:0]  w;
    int                              reads_open, writes_open, beats_left;
    logic                            halted;  // in the cycle before

    wire [12:0] aw_end = 13'(m_axi_memory_awaddr[11:0]) + 13'(32'(m_axi_memory_awlen) + 1) * 13'(DATA_BITS / 8);
    wire [12:0] ar_end = 13'(m_axi_memory_araddr[11:0]) + 13'(32'(m_axi_memory_arlen) + 1) * 13'(DATA_BITS / 8);

    always @(posedge aclk) begin
        if (aresetn) begin
            if (waiting[0]) assert (m_axi_memory_awvalid && aw == {m_axi_memory_awaddr, m_axi_memory_awlen});
            if (waiting[1]) assert (m_axi_memory_arvalid && ar == {m_axi_memory_araddr, m_axi_memory_arlen});
            if (waiting[2]) assert (m_axi_memory_wvalid && w == {m_axi_memory_wdata, m_axi_memory_wstrb, m_axi_memory_wlast});
            if (m_axi_memory_awvalid) assert (aw_end <= 4096 && 32'(m_axi_memory_awlen) < MAX_BURST);
            if (m_axi_memory_arvalid) assert (ar_end <= 4096 && 32'(m_axi_memory_arlen) < MAX_BURST);
            assert (rready && bready);
            // Once a soft reset is asked for, no burst begins.
            if (halted) assert (!(m_axi_memory_arvalid && !waiting[1]) && !(m_axi_memory_awvalid && !waiting[0]));
            // A reset of the accelerator and the engines finds the bus at rest.
            if (!shell.ap_rst_n) begin
                assert (reads_open == 0 && writes_open == 0 && beats_left == 0);
                assert (!m_axi_memory_awvalid && !m_axi_memory_arvalid && !m_axi_memory_wvalid);
            end
        end
        waiting <= {
            m_axi_memory_wvalid && !m_axi_memory_wready,
            m_axi_memory_arvalid && !m_axi_memory_arready,
            m_axi_memory_awvalid && !m_axi_memory_awready
        } & {3{aresetn}};
        halted <= aresetn && shell.body.halt;
        aw <= {m_axi_memory_awaddr, m_axi_memory_awlen};
        ar <= {m_axi_memory_araddr, m_axi_memory_arlen};
        w  <= {m_axi_memory_wdata, m_axi_memory_wstrb, m_axi_memory_wlast};
        reads_open  <= !aresetn ? 0 : reads_open + 32'(m_axi_memory_arvalid && m_axi_memory_arready)
                       - 32'(late_read[DATA_BITS+3] && late_read[DATA_BITS+2]);
        writes_open <= !aresetn ? 0 : writes_open + 32'(m_axi_memory_awvalid && m_axi_memory_awready) - 32'(late_write[2]);
        beats_left  <= !aresetn ? 0 : beats_left
                       + (m_axi_memory_awvalid && m_axi_memory_awready ? 32'(m_axi_memory_awlen) + 1 : 0)
                       - 32'(m_axi_memory_wvalid && m_axi_memory_wready);
    end

endmodule
