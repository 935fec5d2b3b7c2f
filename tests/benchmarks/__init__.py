"""Measurements of speed and memory: `make bench`, or `make bench BENCH="flight compile"` for some.

A benchmark is a module `bench_NAME.py` with a docstring that says what it measures and a function `run(bench)`.
Everything is compared side by side in one run, because absolute times drift with the machine.
"""
