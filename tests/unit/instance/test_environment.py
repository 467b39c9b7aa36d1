"""The environment variables of an instance (contract 2.1)."""

from __future__ import annotations

from typing import Any

from sandbox.instance.environment import instance_environment
from sandbox.settings import Settings
from tests.support.functions import function


def environment(**config: Any) -> dict[str, str]:
    of = function(**config)
    return instance_environment(of, of.latest, Settings(credentials={"AKID": "secret"}))


def test_an_instance_has_the_documented_variables_and_no_others() -> None:
    assert environment() == {
        "_HANDLER": "index.main_handler",
        "SCF_RUNTIME": "CustomRuntime",
        "SCF_FUNCTIONNAME": "hello",
        "SCF_FUNCTIONVERSION": "$LATEST",
        "SCF_NAMESPACE": "default",
        "TENCENTCLOUD_REGION": "ap-guangzhou",
        "TENCENTCLOUD_APPID": "1250000000",
        "TENCENTCLOUD_UIN": "100000000001",
        "TENCENTCLOUD_TZ": "UTC",
        "TENCENTCLOUD_RUNENV": "SCF",
        "USER_CODE_ROOT": "/var/user/",
        "_SCF_SERVER_PORT": "28902",
        "PWD": "/var/user",
        "USER": "qcloud",
        "LOGNAME": "qcloud",
        "HOME": "/home/qcloud",
        "LANG": "en_US.UTF8",
        "LC_ALL": "en_US.UTF8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SHELL": "/bin/bash",
        "SHLVL": "3",
        "LD_LIBRARY_PATH": "/var/runtime/java8:/var/user:/opt",
        "_": "/var/lang/python3/bin/python3",
        "PYTHONPATH": "/var/user:/opt",
        "PYTHONDONTWRITEBYTECODE": "x",
        "NODE_PATH": (
            "/var/user:/var/user/node_modules:/var/lang/node6/lib/node_modules"
            ":/opt:/opt/node_modules"
        ),
        "CLASSPATH": "/var/runtime/java8:/var/runtime/java8/lib/*:/opt",
        "PHP_INI_SCAN_DIR": "/var/user/php_extension:/opt/php_extension",
    }


def test_the_users_own_variables_are_there_and_may_replace_the_shells() -> None:
    own = environment(environment={"STAGE": "test", "TZ": "Asia/Shanghai", "PATH": "/opt/bin"})
    assert (own["STAGE"], own["TZ"], own["PATH"]) == ("test", "Asia/Shanghai", "/opt/bin")


def test_the_users_own_variables_cannot_shadow_the_platforms() -> None:
    own = environment(environment={"SCF_FUNCTIONNAME": "mine", "_HANDLER": "mine"})
    assert (own["SCF_FUNCTIONNAME"], own["_HANDLER"]) == ("hello", "index.main_handler")


def test_there_is_no_time_zone_and_no_proxy_unless_the_user_sets_one() -> None:
    assert not {"TZ", "http_proxy", "https_proxy", "HTTP_PROXY"} & environment().keys()


def test_credentials_are_there_only_for_a_function_with_a_role() -> None:
    bound = environment(role="SCF_ExecuteRole")
    assert bound["TENCENTCLOUD_SECRETID"] == "AKID"
    assert bound["TENCENTCLOUD_SECRETKEY"] == "secret"
    assert bound["TENCENTCLOUD_SESSIONTOKEN"] == "scf-sandbox-session"


def test_a_role_without_configured_credentials_gets_stand_ins() -> None:
    of = function(role="SCF_ExecuteRole")
    bound = instance_environment(of, of.latest, Settings())
    assert bound["TENCENTCLOUD_SECRETID"] == "SecretId"
    assert bound["TENCENTCLOUD_SECRETKEY"] == "secretKey"


def test_the_instances_own_place_and_settings_are_told() -> None:
    of = function("other", handler="a.b")
    told = instance_environment(of, of.latest, Settings(region="na-toronto", app_id="1", uin="2"))
    assert (told["SCF_FUNCTIONNAME"], told["_HANDLER"]) == ("other", "a.b")
    places = ("TENCENTCLOUD_REGION", "TENCENTCLOUD_APPID", "TENCENTCLOUD_UIN")
    assert [told[place] for place in places] == ["na-toronto", "1", "2"]
