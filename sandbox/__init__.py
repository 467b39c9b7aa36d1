"""What Tencent Cloud SCF is, without HTTP: functions, instances, invocations, logs."""

__version__ = "0.1.0"
