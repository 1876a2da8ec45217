"""The decoder and its parts; how it is scaled is a part of its own (`parametrization`)."""
