// `axi3_lite` between ports as cocotbext-axi's models want them: AXI4's width of a length, and what the bridge does not need.
module axi3_bench (
    input  logic        aclk,
    input  logic        aresetn,

    input  logic [11:0] s_awid,
    input  logic [11:0] s_awaddr,
    input  logic [7:0]  s_awlen,
    input  logic [2:0]  s_awsize,
    input  logic [1:0]  s_awburst,
    input  logic        s_awvalid,
    output logic        s_awready,
    input  logic [31:0] s_wdata,
    input  logic [3:0]  s_wstrb,
    input  logic        s_wlast,
    input  logic        s_wvalid,
    output logic        s_wready,
    output logic [11:0] s_bid,
    output logic [1:0]  s_bresp,
    output logic        s_bvalid,
    input  logic        s_bready,
    input  logic [11:0] s_arid,
    input  logic [11:0] s_araddr,
    input  logic [7:0]  s_arlen,
    input  logic [2:0]  s_arsize,
    input  logic [1:0]  s_arburst,
    input  logic        s_arvalid,
    output logic        s_arready,
    output logic [11:0] s_rid,
    output logic [31:0] s_rdata,
    output logic [1:0]  s_rresp,
    output logic        s_rlast,
    output logic        s_rvalid,
    input  logic        s_rready,

    output logic [11:0] m_awaddr,
    output logic        m_awvalid,
    input  logic        m_awready,
    output logic [31:0] m_wdata,
    output logic [3:0]  m_wstrb,
    output logic        m_wvalid,
    input  logic        m_wready,
    input  logic [1:0]  m_bresp,
    input  logic        m_bvalid,
    output logic        m_bready,
    output logic [11:0] m_araddr,
    output logic        m_arvalid,
    input  logic        m_arready,
    input  logic [31:0] m_rdata,
    input  logic [1:0]  m_rresp,
    input  logic        m_rvalid,
    output logic        m_rready
);

    axi3_lite #(
        .ID_BITS  (12),
        .ADDR_BITS(12)
    ) bridge (
        .*,
        .s_awlen (s_awlen[3:0]),
        .s_awsize(s_awsize[1:0]),
        .s_arlen (s_arlen[3:0]),
        .s_arsize(s_arsize[1:0])
    );

    wire unused = s_wlast;

    always_ff @(posedge aclk) begin
        if (aresetn && s_awvalid) assert (s_awlen < 16 && !s_awsize[2]);
        if (aresetn && s_arvalid) assert (s_arlen < 16 && !s_arsize[2]);
    end

endmodule
