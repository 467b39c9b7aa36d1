"""What the sandbox remembers: functions, invocations, logs. Nothing else here knows SQL."""
