"""The kinds of triggers that the platform has."""

from __future__ import annotations

#: The types that an account's quotas are counted by (contract 3), as GetAccount names them.
QUOTA_TYPES = (
    "Cos",
    "Timer",
    "Cmq",
    "Ckafka",
    "Apigw",
    "Cls",
    "Clb",
    "Mps",
    "Cm",
    "Vod",
    "Eb",
)

#: Where an event can come from, as ``InvokeType`` names it. Documented is only ``COS``; the others
#: are named after the trigger types in the same manner, and ``API`` is an Invoke.
SOURCES = ("API", "APIGW", "CKAFKA", "CLB", "CLS", "CM", "CMQ", "COS", "EB", "MPS", "TIMER", "VOD")
