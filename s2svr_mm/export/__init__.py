# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Networks as ONNX files, and the programs that run them."""
