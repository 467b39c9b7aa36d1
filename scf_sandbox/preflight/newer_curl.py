"""Options that curl got after 7.29, which is what CentOS 7.6 has.

From curl's own manual (docs/cmdline-opts, "Added"), up to 7.88. CentOS' curl has tlsv1.0 to tlsv1.2
although they came later: they are left out.
"""

from __future__ import annotations

from types import MappingProxyType

_ADDED = {
    "7.31": "sasl-ir",
    "7.33": ("dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers http1.1 http2 oauth2-bearer"),
    "7.34": "login-options",
    "7.36": "next no-alpn no-npn",
    "7.37": "proxy-header",
    "7.39": "pinnedpubkey",
    "7.40": "unix-socket",
    "7.41": "cert-status",
    "7.42": "false-start path-as-is",
    "7.43": "data-raw proxy-service-name service-name",
    "7.44": "ssl-no-revoke",
    "7.45": "proto-default",
    "7.47": "expect100-timeout",
    "7.48": "tftp-no-options",
    "7.49": "connect-to http2-prior-knowledge tcp-fastopen",
    "7.52": (
        "fail-early preproxy proxy-cacert proxy-capath proxy-cert-type proxy-cert "
        "proxy-ciphers proxy-crlfile proxy-insecure proxy-key-type proxy-key proxy-pass "
        "proxy-ssl-allow-beast proxy-tlsauthtype proxy-tlspassword proxy-tlsuser "
        "proxy-tlsv1 retry-connrefused tlsv1.3"
    ),
    "7.53": "abstract-unix-socket",
    "7.54": "suppress-connect-headers tls-max",
    "7.55": "request-target socks5-basic socks5-gssapi",
    "7.56": "compressed-ssh",
    "7.59": "happy-eyeballs-timeout-ms proxy-pinnedpubkey",
    "7.60": "haproxy-protocol",
    "7.61": "disallow-username-in-url proxy-tls13-ciphers styled-output tls13-ciphers",
    "7.62": "doh-url",
    "7.64": "alt-svc http0.9",
    "7.66": "http3 parallel-max parallel sasl-authzid",
    "7.67": "no-progress-meter",
    "7.68": "etag-compare etag-save parallel-immediate",
    "7.69": "mail-rcpt-allowfails",
    "7.70": "ssl-revoke-best-effort",
    "7.71": "retry-all-errors",
    "7.73": "curves output-dir",
    "7.74": "hsts",
    "7.75": "aws-sigv4 create-file-mode",
    "7.76": "doh-cert-status doh-insecure fail-with-body",
    "7.77": "proxy-ssl-auto-client-cert ssl-auto-client-cert",
    "7.80": "hostpubsha256",
    "7.81": "form-escape",
    "7.82": "json",
    "7.83": "no-clobber remove-on-error",
    "7.84": "rate",
    "7.87": "url-query",
    "7.88": "http3-only",
}

#: The version with which an option came, by the option.
CURL_OPTIONS = MappingProxyType(
    {"-Z": "7.66"}
    | {f"--{name}": since for since, names in _ADDED.items() for name in names.split(" ")}
)
