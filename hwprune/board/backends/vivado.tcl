# What follows is the same for every board; what differs is set above.
# Writes reports/, and out/ last: who finds out/ finds it whole.

set here [file normalize [file dirname [info script]]]
set work [file join $here work]
set reports [file join $here reports]
set steps 8
set number 0

proc step {text} {
    global number steps
    incr number
    puts "hwprune: $number/$steps $text"
}

# The newest version of a block that this Vivado has.
proc newest {block} {
    set found [lsort -dictionary [get_ipdefs -quiet "${block}:*"]]
    if {[llength $found] == 0} {
        error "Vivado's catalogue has no $block; install the devices and the IP of part $::part"
    }
    return [lindex $found end]
}

proc finish {run} {
    wait_on_run $run
    if {[get_property PROGRESS [get_runs $run]] ne "100%"} {
        set where [get_property DIRECTORY [get_runs $run]]
        error "$run ended with \"[get_property STATUS [get_runs $run]]\"; its log is [file join $where runme.log]"
    }
}

step "project"
set version [lindex [split [version -short] _] 0]
if {[package vcompare $version $oldest] < 0} {
    error "Vivado $version is too old for this script; $oldest or newer is needed"
}
if {[llength [get_parts -quiet $part]] == 0} {
    error "this Vivado does not know part $part; add its family by Help > Add Design Tools or Devices"
}
file delete -force $work $reports [file join $here out] [file join $here out.new]
file mkdir $work $reports
set file [open [file join $reports inputs.txt] w]
puts $file $inputs
close $file
create_project -force -part $part $name [file join $work project]
set preset 0
set boards {}
if {$board_parts ne ""} {
    set boards [lsort -dictionary [get_board_parts -quiet $board_parts]]
}
if {[llength $boards]} {
    set_property board_part [lindex $boards end] [current_project]
    set preset 1
} else {
    puts "hwprune: no board files $board_parts: the processor gets no presets but clocks and ports; PYNQ's start-up sets the rest"
}

# Memory files are named relative to this folder, but a run works in one of its own.
set staged {}
foreach source $sources {
    set file [open [file join $here $source] r]
    fconfigure $file -encoding utf-8
    set text [string map [list "\"rtl/" "\"$here/rtl/"] [read $file]]
    close $file
    set copy [file join $work sources $source]
    file mkdir [file dirname $copy]
    set file [open $copy w]
    fconfigure $file -encoding utf-8
    puts -nonewline $file $text
    close $file
    lappend staged $copy
}
add_files -norecurse -fileset sources_1 $staged
add_files -norecurse -fileset constrs_1 [list [file join $here constraints.xdc]]
update_compile_order -fileset sources_1

step "block design"
create_bd_design $name
set ps [create_bd_cell -type ip -vlnv [newest $processor] ps]
if {$processor eq "xilinx.com:ip:processing_system7"} {
    apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 -config [list make_external "FIXED_IO, DDR" \
        apply_board_preset $preset Master "Disable" Slave "Disable"] $ps
} elseif {$preset} {
    apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config [list apply_board_preset 1] $ps
}
set_property -dict $processor_settings $ps
create_bd_cell -type module -reference $top shell
create_bd_cell -type ip -vlnv [newest xilinx.com:ip:proc_sys_reset] reset
foreach way {control memory} {
    set crossing [create_bd_cell -type ip -vlnv [newest xilinx.com:ip:smartconnect] $way]
    set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI 1] $crossing
}
connect_bd_net [get_bd_pins ps/$clock_pin] [get_bd_pins ps/$control_clock_pin] [get_bd_pins ps/$data_clock_pin] \
    [get_bd_pins reset/slowest_sync_clk] [get_bd_pins control/aclk] [get_bd_pins memory/aclk] [get_bd_pins shell/aclk]
connect_bd_net [get_bd_pins ps/$reset_pin] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/interconnect_aresetn] [get_bd_pins control/aresetn] [get_bd_pins memory/aresetn]
connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins shell/aresetn]
connect_bd_net [get_bd_pins shell/interrupt] [get_bd_pins ps/$interrupt_pin]
foreach {master slave} [list ps/$control_port control/S00_AXI control/M00_AXI shell/s_axi_control \
        shell/m_axi_memory memory/S00_AXI memory/M00_AXI ps/$data_port] {
    connect_bd_intf_net [get_bd_intf_pins $master] [get_bd_intf_pins $slave]
}
assign_bd_address -offset $registers -range $register_bytes -target_address_space [get_bd_addr_spaces ps/Data] \
    [get_bd_addr_segs shell/s_axi_control/reg0] -force
assign_bd_address -offset $memory_base -range $memory_bytes -target_address_space [get_bd_addr_spaces shell/m_axi_memory] \
    [get_bd_addr_segs ps/$memory_segment] -force
# The rest that the port leads to is none of the accelerator's business.
foreach segment [get_bd_addr_segs -quiet ps/[file dirname $memory_segment]/*] {
    if {[file tail $segment] ne [file tail $memory_segment]} {
        exclude_bd_addr_seg -target_address_space [get_bd_addr_spaces shell/m_axi_memory] $segment
    }
}
validate_bd_design
save_bd_design
set clock_hz [get_property CONFIG.FREQ_HZ [get_bd_pins ps/$clock_pin]]

step "sources of the block design"
set design_file [get_files $name.bd]
set_property synth_checkpoint_mode None $design_file
generate_target all $design_file
make_wrapper -files $design_file -top -import -fileset sources_1
set_property top ${name}_wrapper [get_filesets sources_1]
update_compile_order -fileset sources_1

step "synthesis"
launch_runs synth_1 -jobs $jobs
finish synth_1
open_run synth_1 -name synth_1
report_utilization -file [file join $reports utilization_synth.rpt]
close_design

step "placement and routing"
launch_runs impl_1 -to_step route_design -jobs $jobs
finish impl_1

step "reports"
open_run impl_1
report_utilization -file [file join $reports utilization.rpt]
report_utilization -hierarchical -hierarchical_depth 5 -file [file join $reports utilization_hierarchical.rpt]
report_timing_summary -max_paths 10 -file [file join $reports timing.rpt]
report_power -file [file join $reports power.rpt]
close_design

step "bitstream"
launch_runs impl_1 -to_step write_bitstream -jobs $jobs
finish impl_1

step "results"
set handoff {}
foreach part_of_project {gen srcs} {
    set file [file join $work project $name.$part_of_project sources_1 bd $name hw_handoff $name.hwh]
    if {[file exists $file]} {
        set handoff $file
        break
    }
}
if {$handoff eq ""} {
    error "Vivado has left no $name.hwh in [file join $work project]"
}
set new [file join $here out.new]
file mkdir $new
file copy [file join [get_property DIRECTORY [get_runs impl_1]] ${name}_wrapper.bit] [file join $new $name.bit]
file copy $handoff [file join $new $name.hwh]
set file [open [file join $new built.txt] w]
puts $file "vivado $version"
puts $file "inputs $inputs"
puts $file "clock_hz $clock_hz"
close $file
file rename $new [file join $here out]
close_project
puts "hwprune: done: [file join $here out]"
