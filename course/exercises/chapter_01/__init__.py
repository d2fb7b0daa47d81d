"""Tasks of notebook 01, about tensors."""
