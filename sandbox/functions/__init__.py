"""Functions, their versions, and the rules on them."""
