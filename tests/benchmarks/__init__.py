"""Each part of the benchmarks, at a size that says nothing about speed: what they do is right."""
