// AXI-Lite port for 32-bit registers: one write or read at a time, every one answered by OKAY.
module shell_lite #(
    parameter int unsigned ADDRESS_BITS = 12
) (
    input  logic                    aclk,
    input  logic                    aresetn,

    input  logic [ADDRESS_BITS-1:0] awaddr,
    input  logic                    awvalid,
    output logic                    awready,
    input  logic [31:0]             wdata,
    input  logic [3:0]              wstrb,
    input  logic                    wvalid,
    output logic                    wready,
    output logic [1:0]              bresp,
    output logic                    bvalid,
    input  logic                    bready,
    input  logic [ADDRESS_BITS-1:0] araddr,
    input  logic                    arvalid,
    output logic                    arready,
    output logic [31:0]             rdata,
    output logic [1:0]              rresp,
    output logic                    rvalid,
    input  logic                    rready,

    output logic                    write,  // one cycle
    output logic [ADDRESS_BITS-1:0] write_addr,
    output logic [31:0]             write_data,
    output logic [3:0]              write_strb,
    output logic                    read,  // one cycle; read_data is taken in it
    output logic [ADDRESS_BITS-1:0] read_addr,
    input  logic [31:0]             read_data
);

    localparam logic [ADDRESS_BITS-1:0] BYTE = ADDRESS_BITS'(3);  // within a word: wstrb tells

    // Ready while there is no address, or no data, that waits.
    logic have_addr, have_data;

    assign awready = !have_addr;
    assign wready  = !have_data;
    assign bresp   = 2'b00;
    assign write   = have_addr && have_data && (bready || !bvalid);

    always_ff @(posedge aclk) begin
        if (!aresetn) begin
            have_addr <= 1'b0;
            have_data <= 1'b0;
            bvalid    <= 1'b0;
        end else begin
            have_addr <= have_addr ? !write : awvalid;
            have_data <= have_data ? !write : wvalid;
            bvalid    <= write || (bvalid && !bready);
        end
    end

    always_ff @(posedge aclk) begin
        if (!have_addr) write_addr <= awaddr & ~BYTE;
        if (!have_data) begin
            write_data <= wdata;
            write_strb <= wstrb;
        end
    end

    logic have_read;

    assign arready = !have_read;
    assign rresp   = 2'b00;
    assign read    = have_read && (rready || !rvalid);

    always_ff @(posedge aclk) begin
        if (!aresetn) begin
            have_read <= 1'b0;
            rvalid    <= 1'b0;
        end else begin
            have_read <= have_read ? !read : arvalid;
            rvalid    <= read || (rvalid && !rready);
        end
    end

    always_ff @(posedge aclk) begin
        if (!have_read) read_addr <= araddr & ~BYTE;
        if (read) rdata <= read_data;
    end

endmodule
