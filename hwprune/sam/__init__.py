"""The SAM (Sum-and-Max) neuron: its definition, its kernels, its layers."""
