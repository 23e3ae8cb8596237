"""What people did with the lists comes back: validated, matched to its play, never applied twice."""
