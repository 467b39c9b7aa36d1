"""How a request to the cloud API is read from the wire, checked, and answered."""
