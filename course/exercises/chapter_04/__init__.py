"""Tasks of notebook 04, about the multi-layer perceptron."""
