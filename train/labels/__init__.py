"""Label representations: one small module each, behind one registry."""
