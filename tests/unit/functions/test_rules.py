from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.errors import SandboxError
from sandbox.functions import rules
from sandbox.functions.model import FunctionConfig, LayerRef

if TYPE_CHECKING:
    from collections.abc import Callable


def code_of(check: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """The error code with which ``check`` refuses, or an empty string when it does not."""
    try:
        check(*args, **kwargs)
    except SandboxError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    "name", ["ab", "a1", "A-b", "a_b", "hello-World_2", "a" * 60, "a" + "-" * 58 + "1"]
)
def test_function_names_that_the_platform_takes(name: str) -> None:
    assert code_of(rules.check_function_name, name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "a" * 61,
        "1a",
        "-a",
        "_a",
        "a-",
        "a_",
        "a b",
        "a.b",
        "a/b",
        "aé",
        "函数",
        "ab\n",
        "a\0b",
    ],
)
def test_function_names_that_the_platform_refuses(name: str) -> None:
    assert code_of(rules.check_function_name, name) == "InvalidParameterValue.FunctionName"


@pytest.mark.parametrize("name", ["a", "default", "a-1", "a" * 60])
def test_namespaces_that_the_platform_takes(name: str) -> None:
    assert code_of(rules.check_namespace, name) == ""


@pytest.mark.parametrize("name", ["", "1", "a-", "a" * 61, "a b", "../a", "default\n"])
def test_namespaces_that_the_platform_refuses(name: str) -> None:
    assert code_of(rules.check_namespace, name) == "InvalidParameterValue.Namespace"


def test_both_names_together_have_a_limit_of_their_own() -> None:
    assert code_of(rules.check_names, "n" * 58, "f" * 60) == ""
    code = code_of(rules.check_names, "n" * 59, "f" * 60)
    assert code == "InvalidParameterValue.FunctionName"


@pytest.mark.parametrize("megabytes", [64, 128, 256, 1280, 2944, 3072])
def test_memory_sizes_that_the_platform_takes(megabytes: int) -> None:
    assert code_of(rules.check_memory, megabytes) == ""


@pytest.mark.parametrize(
    ("megabytes", "code"),
    [
        (-128, "InvalidParameterValue.Memory"),
        (0, "InvalidParameterValue.Memory"),
        (63, "InvalidParameterValue.Memory"),
        (65, "InvalidParameterValue.Memory"),
        (96, "InvalidParameterValue.Memory"),
        (192, "InvalidParameterValue.Memory"),
        (3071, "InvalidParameterValue.Memory"),
        (3073, "LimitExceeded.Memory"),
        (3200, "LimitExceeded.Memory"),
    ],
)
def test_memory_sizes_that_the_platform_refuses(megabytes: int, code: str) -> None:
    assert code_of(rules.check_memory, megabytes) == code


@pytest.mark.parametrize(
    ("seconds", "async_run", "fits"),
    [
        (-1, False, False),
        (0, False, False),
        (1, False, True),
        (900, False, True),
        (901, False, False),
        (0, True, False),
        (901, True, True),
        (86_400, True, True),
        (86_401, True, False),
    ],
)
def test_timeouts_have_bounds(seconds: int, async_run: bool, fits: bool) -> None:
    code = code_of(rules.check_timeout, seconds, async_run=async_run)
    assert code == ("" if fits else "LimitExceeded.Timeout")


@pytest.mark.parametrize(
    ("seconds", "fits"), [(2, False), (3, True), (300, True), (301, False), (0, False)]
)
def test_init_timeouts_have_bounds(seconds: int, fits: bool) -> None:
    code = code_of(rules.check_init_timeout, seconds)
    assert code == ("" if fits else "LimitExceeded.InitTimeout")


@pytest.mark.parametrize(
    "handler", ["index.main_handler", "scf.so", "x", "a/b c.d.e", "函数", "a" * 128]
)
def test_a_handler_is_free_form(handler: str) -> None:
    assert code_of(rules.check_handler, handler) == ""


@pytest.mark.parametrize("handler", ["", "a" * 129, "a\nb", "a\0"])
def test_a_handler_is_printable_and_short(handler: str) -> None:
    assert code_of(rules.check_handler, handler) == "InvalidParameterValue.Handler"


def test_descriptions_have_a_limit_in_characters() -> None:
    assert code_of(rules.check_description, "函" * 1000) == ""
    assert code_of(rules.check_description, "a" * 1001) == "InvalidParameterValue.Description"


@pytest.mark.parametrize(
    ("runtime", "code", "says"),
    [
        ("CustomRuntime", "", ""),
        ("", "MissingParameter.Runtime", "CustomRuntime"),
        ("Python2.7", "InvalidParameterValue.Runtime", "of the platform"),
        ("Nodejs16.13", "InvalidParameterValue.Runtime", "of the platform"),
        ("Go1", "InvalidParameterValue.Runtime", "of the platform"),
        ("Php7.4", "InvalidParameterValue.Runtime", "of the platform"),
        ("CustomImage", "InvalidParameterValue.Runtime", "of the platform"),
        ("customruntime", "InvalidParameterValue.Runtime", "is none"),
        ("Cobol", "InvalidParameterValue.Runtime", "is none"),
    ],
)
def test_only_the_custom_runtime_is_run(runtime: str, code: str, says: str) -> None:
    assert code_of(rules.check_runtime, runtime) == code
    if code:
        with pytest.raises(SandboxError, match=says) as caught:
            rules.check_runtime(runtime)
        assert "CustomRuntime" in caught.value.message


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("Event", ""),
        ("HTTP", "UnsupportedOperation"),
        ("Web", "InvalidParameterValue.Type"),
        ("", "InvalidParameterValue.Type"),
    ],
)
def test_only_event_functions_are_run(kind: str, code: str) -> None:
    assert code_of(rules.check_type, kind) == code


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({}, ""),
        ({"A": "", "b_2": "value", "PATH": "/bin"}, ""),
        ({"A": "x" * 4095}, ""),
        ({"A": "x" * 4096}, "InvalidParameterValue.EnvironmentExceededLimit"),
        ({"A": "函" * 1365}, ""),
        ({"AB": "函" * 1365}, "InvalidParameterValue.EnvironmentExceededLimit"),
        ({"SCF_X": "1"}, "InvalidParameterValue.EnvironmentSystemProtect"),
        ({"QCLOUD_X": "1"}, "InvalidParameterValue.EnvironmentSystemProtect"),
        ({"TENCENTCLOUD_REGION": "1"}, "InvalidParameterValue.EnvironmentSystemProtect"),
        ({"TECENTCLOUD_X": "1"}, "InvalidParameterValue.EnvironmentSystemProtect"),
        ({"SCF": "1", "MY_SCF_X": "1", "scf_x": "1"}, ""),
        ({"": "1"}, "InvalidParameterValue.Environment"),
        ({"1A": "1"}, "InvalidParameterValue.Environment"),
        ({"_A": "1"}, "InvalidParameterValue.Environment"),
        ({"A-B": "1"}, "InvalidParameterValue.Environment"),
        ({"A=B": "1"}, "InvalidParameterValue.Environment"),
        ({"É": "1"}, "InvalidParameterValue.Environment"),
        ({"A\n": "1"}, "InvalidParameterValue.Environment"),
        ({"A": "a\0b"}, "InvalidParameterValue.Environment"),
        ({"A": "\ud800"}, "InvalidParameterValue.Environment"),
    ],
)
def test_environment_rules(environment: dict[str, str], code: str) -> None:
    assert code_of(rules.check_environment, environment) == code


def test_a_single_empty_variable_empties_the_environment() -> None:
    assert rules.environment_from_pairs([("", "")]) == {}
    assert rules.environment_from_pairs([]) == {}
    assert rules.environment_from_pairs([("A", "1"), ("B", "")]) == {"A": "1", "B": ""}


def test_a_variable_may_be_there_only_once() -> None:
    code = code_of(rules.environment_from_pairs, [("A", "1"), ("A", "1")])
    assert code == "InvalidParameterValue.Environment"


def test_a_single_empty_layer_unbinds_all() -> None:
    assert rules.layers_from_pairs([("", 0)]) == ()
    bound = rules.layers_from_pairs([("b", 2), ("a", 1)])
    assert bound == (LayerRef(name="b", version=2), LayerRef(name="a", version=1))


@pytest.mark.parametrize(
    ("layers", "fits"),
    [
        ([], True),
        ([(f"l{i}", 1) for i in range(5)], True),
        ([(f"l{i}", 1) for i in range(6)], False),
        ([("a", 1), ("a", 2)], False),
        ([("a", 0)], False),
        ([("", 1)], False),
    ],
)
def test_layers_are_few_and_different(layers: list[tuple[str, int]], fits: bool) -> None:
    code = code_of(rules.check_layers, rules.layers_from_pairs(layers))
    assert code == ("" if fits else "InvalidParameterValue.Layers")


def test_a_configuration_is_checked_as_a_whole() -> None:
    assert code_of(rules.check_config, FunctionConfig()) == ""
    changes: list[tuple[dict[str, Any], str]] = [
        ({"runtime": "Java8"}, "InvalidParameterValue.Runtime"),
        ({"type": "HTTP"}, "UnsupportedOperation"),
        ({"handler": ""}, "InvalidParameterValue.Handler"),
        ({"description": "x" * 1001}, "InvalidParameterValue.Description"),
        ({"memory_mb": 1}, "InvalidParameterValue.Memory"),
        ({"timeout_s": 901}, "LimitExceeded.Timeout"),
        ({"init_timeout_s": 1}, "LimitExceeded.InitTimeout"),
        ({"environment": {"SCF_A": ""}}, "InvalidParameterValue.EnvironmentSystemProtect"),
        ({"layers": (LayerRef(name="", version=0),)}, "InvalidParameterValue.Layers"),
    ]
    for change, code in changes:
        assert code_of(rules.check_config, FunctionConfig().model_copy(update=change)) == code
    long = FunctionConfig(timeout_s=901, async_run=True)
    assert code_of(rules.check_config, long) == ""


def test_a_routing_key_is_an_object_of_strings() -> None:
    assert rules.parse_routing_key("") == {}
    assert rules.parse_routing_key('{"a":"1"}') == {"a": "1"}
    full = json.dumps({"k": "x" * (1024 - len('{"k": ""}'))})
    assert len(full) == 1024
    assert rules.parse_routing_key(full)
    for text in ["{", "[]", '"a"', "1", '{"a":1}', '{"a":null}', full + " ", "[" * 1000]:
        assert code_of(rules.parse_routing_key, text) == "InvalidParameterValue"
