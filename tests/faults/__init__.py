"""Faults on purpose: processes killed, disks full, brokers gone; see `docs/internals/faults.md`."""
