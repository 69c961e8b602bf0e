"""Keras on TensorFlow, with the models of keras.applications."""
