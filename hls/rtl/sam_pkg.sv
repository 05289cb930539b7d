// What the modules of a SAM unit have to agree upon.
package sam_pkg;

    // Cycles through sam_extreme with N operands: a register behind the differences, and one behind every second level of maxima.
    function automatic int unsigned extreme_latency(int unsigned n);
        return 1 + ($clog2(n) + 1) / 2;
    endfunction

endpackage
