"""The actions of the cloud API, one module for each theme."""
