"""The parts of `benchmarks/quality.py`: measuring, tuning, timing, and the pages made of the figures."""
