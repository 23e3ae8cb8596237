"""Speed and quality against named rivals, printed as ratios."""
