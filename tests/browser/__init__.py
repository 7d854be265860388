"""A package, so that fixtures may last for all of its tests and no longer."""
