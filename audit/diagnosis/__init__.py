"""Can the attacks be believed? What was observed, one small check per way to be fooled, the verdict."""
