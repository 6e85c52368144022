"""The machine: devices, cores, memory, matrix products, processes."""
