"""The database: functions, events, invocations, logs. No other room knows SQL."""
