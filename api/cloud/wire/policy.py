"""Decides whether signatures are checked, and what a bad one leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import structlog

from api.cloud.wire.signing import verify
from sandbox.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.cloud.wire.request import CloudRequest, RawRequest
    from sandbox.clock import Clock
    from sandbox.settings import Settings

log = structlog.get_logger()

Mode = Literal["off", "warn", "enforce"]

#: The key pair of Tencent's sample scripts. ``enforce`` uses it if nothing is configured.
SAMPLE_CREDENTIALS = {"SecretId": "secretKey"}


class Policy:
    """Decides on each request's signature.

    ``off`` checks no signature. ``warn`` logs bad ones and serves the requests. ``enforce`` refuses
    them. Without a mode it is ``enforce`` if credentials are configured, else ``off``.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        configured = dict(settings.credentials)
        self.mode: Mode = settings.signature or ("enforce" if configured else "off")
        self._chosen = settings.signature is not None
        self._credentials = configured or SAMPLE_CREDENTIALS
        self._clock = clock

    @property
    def enforced_keys(self) -> Mapping[str, str] | None:
        """The known keys if signatures are enforced, else None."""
        return self._credentials if self.mode == "enforce" else None

    def announce(self) -> None:
        """Log at the start that signatures are not checked, if no setting asked for that."""
        if self.mode == "off" and not self._chosen:
            log.warning(
                "signatures_not_checked",
                reason="no credentials are configured: every request is accepted",
                hint="set SCF_CREDENTIALS=SecretId:SecretKey to check them",
            )
        elif self.mode != "off":
            log.info("signatures_checked", mode=self.mode, known=len(self._credentials))

    def check(self, raw: RawRequest, request: CloudRequest) -> None:
        """Let a request pass, or raise ``AuthError``."""
        if self.mode == "off":
            return
        try:
            verify(raw, request, self._credentials, self._clock.now())
        except AuthError as error:
            if self.mode == "enforce":
                raise
            log.warning(
                "signature_refused_in_enforce_mode",
                code=error.code,
                reason=error.message,
                action=request.action,
                request_id=request.request_id,
            )
