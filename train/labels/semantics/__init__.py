"""Whether labels mean something: learned distances against those of WordNet."""
