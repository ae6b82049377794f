"""tfgen: deep generative models for TensorFlow and Keras."""
