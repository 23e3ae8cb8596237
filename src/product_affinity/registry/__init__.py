"""Trained models on disk: bundles of text and JSON, the champion in use, and MLflow behind one door."""
