"""The pipeline: each stage is a few calls in order, from source tables to published lists."""
