"""ctxbench codec: QR, DataMatrix and Aztec symbols."""
