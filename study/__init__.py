"""Studies: the papers' experiments as grids of runs that are trained, exported and audited."""
