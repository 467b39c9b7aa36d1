"""The environment variables of an instance (contract 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.settings import Settings

#: What every instance of every function has. The values are those of the documentation.
FIXED: dict[str, str] = {
    "TENCENTCLOUD_RUNENV": "SCF",
    "TENCENTCLOUD_TZ": "UTC",
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
        "/var/user:/var/user/node_modules:/var/lang/node6/lib/node_modules:/opt:/opt/node_modules"
    ),
    "CLASSPATH": "/var/runtime/java8:/var/runtime/java8/lib/*:/opt",
    "PHP_INI_SCAN_DIR": "/var/user/php_extension:/opt/php_extension",
}


def instance_environment(
    function: Function, version: FunctionVersion, settings: Settings
) -> dict[str, str]:
    """The variables of one instance. The engine adds the address of the runtime API.

    The user's variables cannot shadow the platform's: reserved prefixes are refused on creation,
    and the platform's variables are applied last. ``TZ`` is set only by the user. A function with
    a role gets credentials: the sandbox's first configured key, or a placeholder.
    """
    config = version.config
    environment = dict(FIXED)
    environment.update(config.environment)
    environment.update(
        {
            "_HANDLER": config.handler,
            "SCF_RUNTIME": config.runtime,
            "SCF_FUNCTIONNAME": function.name,
            "SCF_FUNCTIONVERSION": version.version,
            "SCF_NAMESPACE": function.namespace,
            "TENCENTCLOUD_REGION": settings.region,
            "TENCENTCLOUD_APPID": settings.app_id,
            "TENCENTCLOUD_UIN": settings.uin,
        }
    )
    if config.role:
        secret_id, secret_key = next(iter(settings.credentials.items()), ("SecretId", "secretKey"))
        environment.update(
            {
                "TENCENTCLOUD_SECRETID": secret_id,
                "TENCENTCLOUD_SECRETKEY": secret_key,
                "TENCENTCLOUD_SESSIONTOKEN": "scf-sandbox-session",
            }
        )
    return environment
