"""The history of invocations: records, log lines, and the logs rendered from them."""
