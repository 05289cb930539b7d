"""hwprune: from a detector that is far too large to a verified FPGA accelerator."""

__version__ = "0.1.0"
