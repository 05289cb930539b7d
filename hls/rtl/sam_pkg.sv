// What the modules of a SAM unit have to agree upon.
package sam_pkg;

    // Cycles through sam_extreme with N operands.
    function automatic int unsigned extreme_latency(int unsigned n);
        return n > 1 ? 3 : 1;
    endfunction

endpackage
