"""What a rig needs of the machine: processes, ports, locks, the cache, the kernel's socket tables, the guardian."""
