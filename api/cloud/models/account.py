"""Requests about the account."""

from api.cloud.models.base import Request


class GetAccountRequest(Request):
    """Usage and limits."""
