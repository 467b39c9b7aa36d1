"""The benchmark harness: this sandbox beside its peers and beside the limit, on one machine."""
