"""The benchmark: measures this sandbox, its peers and the limit on one machine."""
