"""Tasks of notebook 02, about gradients."""
