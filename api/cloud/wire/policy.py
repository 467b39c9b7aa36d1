"""Whether signatures are checked, and what a bad one leads to."""

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

#: The pair of Tencent's own sample scripts: what ``enforce`` knows when nothing is configured.
SAMPLE_CREDENTIALS = {"SecretId": "secretKey"}


class Policy:
    """Decides on each request's signature.

    ``off`` looks at none, ``warn`` logs bad ones and serves them, ``enforce`` refuses them. Without
    a mode the configured credentials decide: enforce when there are any, else off.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        configured = dict(settings.credentials)
        self.mode: Mode = settings.signature or ("enforce" if configured else "off")
        self._chosen = settings.signature is not None
        self._credentials = configured or SAMPLE_CREDENTIALS
        self._clock = clock

    @property
    def enforced_keys(self) -> Mapping[str, str] | None:
        """The known keys when they are asked for, else None."""
        return self._credentials if self.mode == "enforce" else None

    def announce(self) -> None:
        """Say once, at start, when signatures are not checked though nobody asked for that."""
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
