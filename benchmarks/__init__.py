"""One module per claim: ``python3 -m benchmarks.NAME ARGS`` prints its figures and, as last line, one JSON object."""
