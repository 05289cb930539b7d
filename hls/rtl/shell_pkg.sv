// What the modules of the shell agree upon.
package shell_pkg;

    function automatic int unsigned gcd(int unsigned a, int unsigned b);
        gcd = a;
        while (b != 0) begin
            gcd = b;
            b   = a % b;
            a   = gcd;
        end
    endfunction

    // Words of a frame whose beats are packed into them.
    function automatic int unsigned words(int unsigned beats, int unsigned beat_bytes, int unsigned word_bytes);
        words = (beats * beat_bytes + word_bytes - 1) / word_bytes;
    endfunction

endpackage
