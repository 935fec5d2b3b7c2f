"""The demo: TPC-H data, made on this machine, and our model of it."""
