"""The rules for names and configurations. Pure; each breach has the platform's own error code.

Limits are from contract 3. Codes are those that the platform lists for CreateFunction,
UpdateFunctionConfiguration and Invoke.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sandbox import limits
from sandbox.errors import (
    InvalidParameterValue,
    LimitError,
    LimitExceeded,
    MissingParameter,
    RequestError,
    UnsupportedError,
)
from sandbox.functions.model import CUSTOM_RUNTIME, LayerRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox.errors import Code
    from sandbox.functions.model import EventInvokeConfig, FunctionConfig
    from sandbox.packages.model import CodeRef

DEFAULT_HANDLER = "index.main_handler"
MAX_LAYERS = 5
ALIAS_MAX = 64

#: Prefixes of the platform's own variables. Its documentation misspells the last one so.
RESERVED_PREFIXES = ("SCF_", "QCLOUD_", "TENCENTCLOUD_", "TECENTCLOUD_")

#: The platform's other runtimes.
OTHER_RUNTIMES = re.compile(r"(?:Python|Nodejs|Php|Golang|Go|Java)\d[\d.]*|CustomImage")

_FUNCTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*[A-Za-z0-9]")
_NAMESPACE = re.compile(r"[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_function_name(name: str) -> None:
    """``InvalidParameterValue.FunctionName`` unless 2 to 60 of letters, digits, ``-``, ``_``,
    the first a letter, the last a letter or digit."""
    fits = limits.NAME_MIN <= len(name) <= limits.NAME_MAX
    if not fits or not _FUNCTION_NAME.fullmatch(name):
        raise RequestError(
            f"FunctionName {_shown(name)} is not valid: use {limits.NAME_MIN} to {limits.NAME_MAX}"
            " letters, digits, - and _, starting with a letter, ending with a letter or digit",
            InvalidParameterValue.FUNCTION_NAME,
        )


def check_namespace(namespace: str) -> None:
    """``InvalidParameterValue.Namespace`` unless up to 60 characters, of the form of a name."""
    if len(namespace) > limits.NAMESPACE_MAX or not _NAMESPACE.fullmatch(namespace):
        raise RequestError(
            f"Namespace {_shown(namespace)} is not valid: use up to {limits.NAMESPACE_MAX} letters,"
            " digits, - and _, starting with a letter, ending with a letter or digit",
            InvalidParameterValue.NAMESPACE,
        )


def check_names(namespace: str, name: str) -> None:
    """Check both names; together they have at most 118 characters, else
    ``InvalidParameterValue.FunctionName``."""
    check_namespace(namespace)
    check_function_name(name)
    if len(namespace) + len(name) > limits.NAME_AND_NAMESPACE_MAX:
        raise RequestError(
            f"FunctionName and Namespace have {len(namespace) + len(name)} characters together;"
            f" the limit is {limits.NAME_AND_NAMESPACE_MAX}: shorten one of them",
            InvalidParameterValue.FUNCTION_NAME,
        )


def check_runtime(runtime: str) -> None:
    """``MissingParameter.Runtime`` when empty, ``InvalidParameterValue.Runtime`` for any other
    than CustomRuntime."""
    if not runtime:
        raise RequestError(
            f"Runtime is missing: send Runtime={CUSTOM_RUNTIME}", MissingParameter.RUNTIME
        )
    if runtime == CUSTOM_RUNTIME:
        return
    what = "is a runtime of the platform, but" if OTHER_RUNTIMES.fullmatch(runtime) else "is none:"
    raise RequestError(
        f"Runtime {_shown(runtime)} {what} this sandbox runs {CUSTOM_RUNTIME} functions only",
        InvalidParameterValue.RUNTIME,
    )


def check_type(kind: str) -> None:
    """``UnsupportedOperation`` for HTTP functions, ``InvalidParameterValue.Type`` for no type."""
    if kind == "HTTP":
        raise UnsupportedError(
            "Type HTTP: this sandbox does not run web functions yet; create it with Type=Event"
        )
    if kind != "Event":
        raise RequestError(
            f"Type {_shown(kind)} is not valid: use Event", InvalidParameterValue.TYPE
        )


def check_memory(megabytes: int) -> None:
    """``LimitExceeded.Memory`` above 3072, else ``InvalidParameterValue.Memory`` unless 64 or a
    multiple of 128."""
    if megabytes > limits.MEMORY_MAX_MB:
        raise LimitError(
            f"MemorySize {megabytes} is above the limit of {limits.MEMORY_MAX_MB} MB: ask for less",
            LimitExceeded.MEMORY,
        )
    stepped = megabytes > 0 and megabytes % limits.MEMORY_STEP_MB == 0
    if megabytes != limits.MEMORY_MIN_MB and not stepped:
        raise RequestError(
            f"MemorySize {megabytes} is not valid: use {limits.MEMORY_MIN_MB}, or"
            f" {limits.MEMORY_STEP_MB} to {limits.MEMORY_MAX_MB} in steps of"
            f" {limits.MEMORY_STEP_MB} MB",
            InvalidParameterValue.MEMORY,
        )


def check_timeout(seconds: int, *, async_run: bool = False) -> None:
    """``LimitExceeded.Timeout`` unless 1 to 900 s (86400 s with asynchronous execution)."""
    longest = limits.ASYNC_RUN_TIMEOUT_MAX_S if async_run else limits.TIMEOUT_MAX_S
    if not limits.TIMEOUT_MIN_S <= seconds <= longest:
        hint = "" if async_run else "; only functions with AsyncRunEnable=TRUE may run longer"
        raise LimitError(
            f"Timeout {seconds} is not within {limits.TIMEOUT_MIN_S} to {longest} seconds{hint}",
            LimitExceeded.TIMEOUT,
        )


def check_init_timeout(seconds: int) -> None:
    """``LimitExceeded.InitTimeout`` unless 3 to 300 s."""
    shortest, longest = limits.INIT_TIMEOUT_MIN_S, limits.INIT_TIMEOUT_MAX_S
    if not shortest <= seconds <= longest:
        raise LimitError(
            f"InitTimeout {seconds} is not within {shortest} to {longest} seconds",
            LimitExceeded.INIT_TIMEOUT,
        )


def check_handler(handler: str) -> None:
    """``InvalidParameterValue.Handler`` unless 1 to 128 printable characters.

    For CustomRuntime the platform asks for no other form.
    """
    if not 0 < len(handler) <= limits.HANDLER_MAX or _CONTROL.search(handler):
        raise RequestError(
            f"Handler {_shown(handler)} is not valid: use 1 to {limits.HANDLER_MAX} printable"
            f" characters, for example {DEFAULT_HANDLER}",
            InvalidParameterValue.HANDLER,
        )


def check_description(description: str) -> None:
    """``InvalidParameterValue.Description`` above 1000 characters."""
    if len(description) > limits.DESCRIPTION_MAX:
        raise RequestError(
            f"Description has {len(description)} characters; the limit is"
            f" {limits.DESCRIPTION_MAX}: shorten it",
            InvalidParameterValue.DESCRIPTION,
        )


def check_environment(environment: Mapping[str, str]) -> None:
    """Check an environment.

    ``InvalidParameterValue.Environment`` unless keys start with a letter and hold letters, digits
    and ``_``; ``.EnvironmentSystemProtect`` for keys of the platform's own;
    ``.EnvironmentExceededLimit`` when keys and values have more than 4 KB together (bytes of UTF-8,
    without separators).
    """
    size = 0
    for key, value in environment.items():
        if not _VARIABLE.fullmatch(key):
            raise _bad_environment(
                f"key {_shown(key)} is not valid: start with a letter, go on with letters, digits"
                " and _"
            )
        if key.startswith(RESERVED_PREFIXES):
            raise RequestError(
                f"Environment key {_shown(key)} is reserved for the platform: do not start it with"
                f" {', '.join(RESERVED_PREFIXES[:3])}",
                InvalidParameterValue.ENVIRONMENT_SYSTEM_PROTECT,
            )
        if "\0" in value:
            raise _bad_environment(f"value of {key} holds a NUL, which no process can receive")
        size += len(key.encode()) + _utf8_length(key, value)
    if size > limits.ENVIRONMENT_BYTES:
        raise LimitError(
            f"Environment has {size} bytes of keys and values; the limit is"
            f" {limits.ENVIRONMENT_BYTES}: move data into the package",
            InvalidParameterValue.ENVIRONMENT_EXCEEDED_LIMIT,
        )


def environment_from_pairs(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """``Environment.Variables`` as a mapping.

    ``InvalidParameterValue.Environment`` for a key that is there twice. Pairs without key and value
    are dropped: clients empty an environment with one such pair.
    """
    environment: dict[str, str] = {}
    for key, value in pairs:
        if not key and not value:
            continue
        if key in environment:
            raise _bad_environment(f"key {_shown(key)} is there twice: give each key once")
        environment[key] = value
    return environment


def layers_from_pairs(pairs: Iterable[tuple[str, int]]) -> tuple[LayerRef, ...]:
    """``Layers`` in bind order.

    Pairs without name and version are dropped: clients unbind all layers with one such pair.
    """
    return tuple(LayerRef(name=name, version=version) for name, version in pairs if name or version)


def check_layers(layers: tuple[LayerRef, ...]) -> None:
    """``InvalidParameterValue.Layers`` above five, or for one bound twice or without a version."""
    names = [layer.name for layer in layers]
    if len(layers) > MAX_LAYERS or len(set(names)) < len(names):
        raise RequestError(
            f"Layers: bind at most {MAX_LAYERS}, and each only once", InvalidParameterValue.LAYERS
        )
    for layer in layers:
        if not layer.name or layer.version < 1:
            raise RequestError(
                f"Layers: {_shown(layer.name)} version {layer.version} is not valid: give each a"
                " LayerName and a LayerVersion from 1 on",
                InvalidParameterValue.LAYERS,
            )


def check_total_size(
    code: CodeRef, layers: tuple[LayerRef, ...], error: Code = InvalidParameterValue.LIMIT_EXCEEDED
) -> None:
    """``error`` when the code and its layers unpack to more than 500 MB together."""
    total = code.unpacked_bytes + sum(layer.unpacked_bytes for layer in layers)
    if total > limits.CODE_BYTES:
        raise LimitError(
            f"the code and its layers unpack to {total} bytes together; the limit is"
            f" {limits.CODE_BYTES}: leave out what is not needed, or unbind a layer",
            error,
        )


def check_config(config: FunctionConfig) -> None:
    """All checks of a configuration that need nothing else; the errors are those of the checks."""
    check_runtime(config.runtime)
    check_type(config.type)
    check_handler(config.handler)
    check_description(config.description)
    check_memory(config.memory_mb)
    check_timeout(config.timeout_s, async_run=config.async_run)
    check_init_timeout(config.init_timeout_s)
    check_environment(config.environment)
    check_layers(config.layers)


def check_event_invoke(config: EventInvokeConfig) -> None:
    """``LimitExceeded.RetryNum`` above 2, ``LimitExceeded.MsgTTL`` outside 60 s to 6 h (the limits
    that GetAccount documents), ``InvalidParameterValue.AsyncTriggerConfig`` below 0."""
    if config.retry_num < 0:
        raise RequestError(
            f"RetryNum {config.retry_num} is not valid: use 0 to {limits.RETRY_NUM_MAX}",
            InvalidParameterValue.ASYNC_TRIGGER_CONFIG,
        )
    if config.retry_num > limits.RETRY_NUM_MAX:
        raise LimitError(
            f"RetryNum {config.retry_num} is above the limit: use 0 to {limits.RETRY_NUM_MAX}",
            LimitExceeded.RETRY_NUM,
        )
    if not limits.MSG_TTL_MIN_S <= config.msg_ttl_s <= limits.MSG_TTL_MAX_S:
        raise LimitError(
            f"MsgTTL {config.msg_ttl_s} is out of its limits: use {limits.MSG_TTL_MIN_S} to"
            f" {limits.MSG_TTL_MAX_S} seconds",
            LimitExceeded.MSG_TTL,
        )


def is_alias_name(name: str) -> bool:
    """1 to 64 letters, digits, ``-``, ``_``, the first a letter."""
    return len(name) <= ALIAS_MAX and _ALIAS.fullmatch(name) is not None


def parse_routing_key(text: str) -> dict[str, str]:
    """``RoutingKey``: the JSON text of an object of strings, at most 1024 bytes.

    ``InvalidParameterValue`` otherwise: Invoke lists no narrower code for it.
    """
    if not text:
        return {}
    if len(text.encode("utf-8", "surrogatepass")) > limits.ROUTING_KEY_BYTES:
        raise RequestError(f"RoutingKey is above the limit of {limits.ROUTING_KEY_BYTES} bytes")
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(
            f"RoutingKey is not JSON ({error}): send an object of strings"
        ) from error
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise RequestError('RoutingKey is not an object of strings: send, for example, {"k":"v"}')
    return value


def _bad_environment(what: str) -> RequestError:
    return RequestError(f"Environment {what}", InvalidParameterValue.ENVIRONMENT)


def _utf8_length(key: str, value: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError as error:
        raise _bad_environment(f"value of {key} is not valid Unicode: {error.reason}") from error


def _shown(value: str) -> str:
    """``value`` as a message can hold it."""
    return repr(value if len(value) <= 80 else value[:77] + "...")
