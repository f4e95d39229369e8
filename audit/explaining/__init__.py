"""What a model looks at: heatmaps of an exported file, and how far they can be trusted."""
