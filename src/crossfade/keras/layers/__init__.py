"""Mixing as a layer, in `tf.data`, and within a compiled train step."""
