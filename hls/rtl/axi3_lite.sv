// From an AXI3 port, as Zynq-7000's M_AXI_GP ports are, to AXI-Lite: bursts become single accesses, one after the other, and
// responses carry the identifier of their request. One read and one write are under way at a time. Of several responses to the
// accesses of a write burst, the first that is no OKAY is given back. Write data is taken in order; AXI3's interleaving, which
// Zynq never does, is not supported, so WID is not needed.
module axi3_lite #(
    parameter int unsigned ID_BITS   = 12,
    parameter int unsigned ADDR_BITS = 12   // on both sides
) (
    input  logic                 aclk,
    input  logic                 aresetn,

    input  logic [ID_BITS-1:0]   s_awid,
    input  logic [ADDR_BITS-1:0] s_awaddr,
    input  logic [3:0]           s_awlen,
    input  logic [1:0]           s_awsize,
    input  logic [1:0]           s_awburst,
    input  logic                 s_awvalid,
    output logic                 s_awready,
    input  logic [31:0]          s_wdata,
    input  logic [3:0]           s_wstrb,
    input  logic                 s_wvalid,
    output logic                 s_wready,
    output logic [ID_BITS-1:0]   s_bid,
    output logic [1:0]           s_bresp,
    output logic                 s_bvalid,
    input  logic                 s_bready,
    input  logic [ID_BITS-1:0]   s_arid,
    input  logic [ADDR_BITS-1:0] s_araddr,
    input  logic [3:0]           s_arlen,
    input  logic [1:0]           s_arsize,
    input  logic [1:0]           s_arburst,
    input  logic                 s_arvalid,
    output logic                 s_arready,
    output logic [ID_BITS-1:0]   s_rid,
    output logic [31:0]          s_rdata,
    output logic [1:0]           s_rresp,
    output logic                 s_rlast,
    output logic                 s_rvalid,
    input  logic                 s_rready,

    output logic [ADDR_BITS-1:0] m_awaddr,
    output logic                 m_awvalid,
    input  logic                 m_awready,
    output logic [31:0]          m_wdata,
    output logic [3:0]           m_wstrb,
    output logic                 m_wvalid,
    input  logic                 m_wready,
    input  logic [1:0]           m_bresp,
    input  logic                 m_bvalid,
    output logic                 m_bready,
    output logic [ADDR_BITS-1:0] m_araddr,
    output logic                 m_arvalid,
    input  logic                 m_arready,
    input  logic [31:0]          m_rdata,
    input  logic [1:0]           m_rresp,
    input  logic                 m_rvalid,
    output logic                 m_rready
);

    if (ID_BITS < 1 || ADDR_BITS < 7) begin : g_check
        $error("axi3_lite: ID_BITS=%0d has to be at least 1, ADDR_BITS=%0d at least 7: a burst spans 64 bytes", ID_BITS, ADDR_BITS);
    end

    // FIXED stays, INCR goes on, WRAP turns round at the burst's size, a power of two.
    function automatic logic [ADDR_BITS-1:0] following(input logic [ADDR_BITS-1:0] addr, input logic [3:0] len,
                                                       input logic [1:0] size, input logic [1:0] burst);
        logic [ADDR_BITS-1:0] next, mask;
        next = ((addr >> size) + 1'b1) << size;
        mask = ((ADDR_BITS'(len) + 1'b1) << size) - 1'b1;
        case (burst)
            2'b00:   following = addr;
            2'b10:   following = (addr & ~mask) | (next & mask);
            default: following = next;
        endcase
    endfunction

    // Writes
    typedef enum logic [1:0] {W_IDLE, W_DATA, W_ACCESS, W_RESPOND} write_t;
    write_t     writing;
    logic [3:0] write_len, write_left;
    logic [1:0] write_size, write_burst;

    assign s_awready = writing == W_IDLE;
    assign s_wready  = writing == W_DATA;
    assign s_bvalid  = writing == W_RESPOND;
    assign m_bready  = writing == W_ACCESS && !m_awvalid && !m_wvalid;

    always_ff @(posedge aclk) begin
        if (!aresetn) begin
            writing   <= W_IDLE;
            m_awvalid <= 1'b0;
            m_wvalid  <= 1'b0;
        end else begin
            case (writing)
                W_IDLE: if (s_awvalid) writing <= W_DATA;
                W_DATA: begin
                    if (s_wvalid) begin
                        m_awvalid <= 1'b1;
                        m_wvalid  <= 1'b1;
                        writing   <= W_ACCESS;
                    end
                end
                W_ACCESS: begin
                    if (m_awready) m_awvalid <= 1'b0;
                    if (m_wready) m_wvalid <= 1'b0;
                    if (m_bready && m_bvalid) writing <= write_left == '0 ? W_RESPOND : W_DATA;
                end
                default: if (s_bready) writing <= W_IDLE;
            endcase
        end
    end

    always_ff @(posedge aclk) begin
        case (writing)
            W_IDLE: begin
                s_bid       <= s_awid;
                s_bresp     <= 2'b00;
                m_awaddr    <= s_awaddr;
                write_len   <= s_awlen;
                write_left  <= s_awlen;
                write_size  <= s_awsize;
                write_burst <= s_awburst;
            end
            W_DATA: begin
                m_wdata <= s_wdata;
                m_wstrb <= s_wstrb;
            end
            W_ACCESS: begin
                if (m_bready && m_bvalid) begin
                    if (s_bresp == 2'b00) s_bresp <= m_bresp;
                    write_left <= write_left - 1'b1;
                    m_awaddr   <= following(m_awaddr, write_len, write_size, write_burst);
                end
            end
            default: ;
        endcase
    end

    // Reads
    typedef enum logic [1:0] {R_IDLE, R_ASK, R_WAIT, R_GIVE} read_t;
    read_t      reading;
    logic [3:0] read_len, read_left;
    logic [1:0] read_size, read_burst;

    assign s_arready = reading == R_IDLE;
    assign m_arvalid = reading == R_ASK;
    assign m_rready  = reading == R_WAIT;
    assign s_rvalid  = reading == R_GIVE;
    assign s_rlast   = read_left == '0;

    always_ff @(posedge aclk) begin
        if (!aresetn) begin
            reading <= R_IDLE;
        end else begin
            case (reading)
                R_IDLE:  if (s_arvalid) reading <= R_ASK;
                R_ASK:   if (m_arready) reading <= R_WAIT;
                R_WAIT:  if (m_rvalid) reading <= R_GIVE;
                default: if (s_rready) reading <= s_rlast ? R_IDLE : R_ASK;
            endcase
        end
    end

    always_ff @(posedge aclk) begin
        case (reading)
            R_IDLE: begin
                s_rid      <= s_arid;
                m_araddr   <= s_araddr;
                read_len   <= s_arlen;
                read_left  <= s_arlen;
                read_size  <= s_arsize;
                read_burst <= s_arburst;
            end
            R_WAIT: begin
                s_rdata <= m_rdata;
                s_rresp <= m_rresp;
            end
            R_GIVE: begin
                if (s_rready) begin
                    read_left <= read_left - 1'b1;
                    m_araddr  <= following(m_araddr, read_len, read_size, read_burst);
                end
            end
            default: ;
        endcase
    end

endmodule
