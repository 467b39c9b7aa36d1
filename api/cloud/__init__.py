"""The cloud API: TencentCloud API 3.0 as the SCF clients speak it."""
