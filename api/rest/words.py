"""Says in plain REST's words what the services say in the cloud API's.

The services know one name for a thing, which is the platform's. Whoever used plain REST sent
``memory``, not ``MemorySize``, and a file, not base64.
"""

from __future__ import annotations

import re

#: Whole phrases. They come first.
_PHRASES = {
    "send a zip archive in base64, not another format": (
        "send a zip archive, not another format, as a file: -F code=@demo.zip"
    ),
    "AsyncRunEnable=TRUE": "async_run=true",
    "Runtime=CustomRuntime": "runtime=CustomRuntime",
    "Type=Event": "type=Event",
    "a LayerName and a LayerVersion from 1 on": "a name and a version from 1 on",
    "use UpdateAlias to point it elsewhere": "PUT it to point it elsewhere",
    "leave Qualifier out to delete the function, or use DeleteAlias": (
        "DELETE the function, or the alias, by its own path"
    ),
    " (GetProvisionedConcurrencyConfig)": "",
}
#: Single words. A name of the user's own is quoted, or follows what kind of thing it names.
_WORDS = {
    "AdditionalVersionWeights": "weights",
    "AddtionVersionMatchs": "rules",
    "AsyncTriggerConfig": "the body",
    "CompatibleRuntimes": "runtimes",
    "DeadLetterConfig": "dead_letter",
    "Description": "description",
    "Environment": "environment",
    "Expression": "expression",
    "FunctionName": "name",
    "Handler": "handler",
    "InitTimeout": "init_timeout",
    "Key": "key",
    "LayerName": "layer",
    "Layers": "layers",
    "Limit": "limit",
    "MemorySize": "memory",
    "Method": "method",
    "MsgTTL": "max_age",
    "Name": "name",
    "Namespace": "namespace",
    "Offset": "offset",
    "Order": "order",
    "OrderBy": "order_by",
    "Orderby": "order_by",
    "Qualifier": "version",
    "ReservedConcurrencyMem": "memory",
    "RetryNum": "retries",
    "RoutingConfig": "the alias",
    "RoutingKey": "the routing key",
    "Runtime": "runtime",
    "Status": "status",
    "Timeout": "timeout",
    "TotalConcurrencyMem": "memory",
    "TraceEnable": "traced",
    "TriggerActions": "timers",
    "TriggerCronConfig": "cron",
    "TriggerName": "name",
    "TriggerProvisionedConcurrencyNum": "count",
    "Type": "type",
    "VersionProvisionedConcurrencyNum": "count",
    "ZipFile": "code",
}
_FOUND = re.compile(
    r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
    rf"|{'|'.join(map(re.escape, _PHRASES))}"
    r"|(?<!function )(?<!layer )(?<!alias )(?<!namespace )(?<!version )"
    rf"\b(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})\b"
)


def in_rest_words(message: str) -> str:
    """The message of an error, with plain REST's names of fields. What is quoted stays as it is."""

    def instead(found: re.Match[str]) -> str:
        text = found[0]
        return _PHRASES.get(text) or _WORDS.get(text) or ("" if text in _PHRASES else text)

    return _FOUND.sub(instead, message)
