# Run with a script and the names of commands: runs the script, and hands these commands over to whoever started this.

proc bridge_encode {words} {
    set line {}
    foreach word $words {
        lappend line x[binary encode hex [encoding convertto utf-8 $word]]
    }
    return [join $line " "]
}

proc bridge_decode {line} {
    set words {}
    foreach word $line {
        lappend words [encoding convertfrom utf-8 [binary decode hex [string range $word 1 end]]]
    }
    return $words
}

proc bridge_say {words} {
    bridge_puts stdout [bridge_encode $words]
    flush stdout
}

proc bridge_call {args} {
    bridge_say [linsert $args 0 call]
    while {1} {
        set answer [bridge_decode [gets stdin]]
        switch [lindex $answer 0] {
            split   { bridge_say [linsert [lindex $answer 1] 0 words] }
            result  { return [lindex $answer 1] }
            error   { return -code error [lindex $answer 1] }
            default { exit 1 }
        }
    }
}

rename puts bridge_puts
# Only what goes to standard output is caught.
proc puts {args} {
    if {[llength $args] == 1} {
        bridge_call puts {*}$args
    } else {
        bridge_puts {*}$args
    }
}

foreach bridge_name [lrange $argv 1 end] {
    if {$bridge_name ne "puts"} {
        proc $bridge_name {args} "bridge_call $bridge_name {*}\$args"
    }
}

if {[catch {source -encoding utf-8 [lindex $argv 0]} wrong]} {
    bridge_say [list failed $wrong]
} else {
    bridge_say done
}
