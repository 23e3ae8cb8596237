"""What was measured: rules, affinities, adjacencies and the effect of the lists."""
