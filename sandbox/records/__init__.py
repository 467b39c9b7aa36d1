"""What is kept of invocations: records, log lines, and the reports made of them."""
