"""Signs requests with TC3-HMAC-SHA256. A signature is valid for five minutes."""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import UTC, datetime

SECRET_ID, SECRET_KEY = "AKIDbenchbenchbenchbench", "benchbenchbenchbenchbench"
SERVICE = "scf"


def signed(headers: dict[str, str], host: str, body: bytes) -> dict[str, str]:
    """Sign a request at the present time. Returns ``headers`` with the signature's headers added.
    ``headers`` must have a Content-Type."""
    timestamp = int(time.time())
    date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    names = "content-type;host"
    canonical = (
        f"POST\n/\n\ncontent-type:{headers['Content-Type']}\nhost:{host}\n\n{names}\n"
        + hashlib.sha256(body).hexdigest()
    )
    scope = f"{date}/{SERVICE}/tc3_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}"
    key = f"TC3{SECRET_KEY}".encode()
    for part in (date, SERVICE, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return {
        **headers,
        "X-TC-Timestamp": str(timestamp),
        "Authorization": (
            f"TC3-HMAC-SHA256 Credential={SECRET_ID}/{scope}, SignedHeaders={names},"
            f" Signature={signature}"
        ),
    }
