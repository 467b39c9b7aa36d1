"""A function's whole life on a running sandbox, for every client that can make calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.clients.client import as_json
from tests.support.product import bash_runtime
from tests.support.waiting import wait_until
from tests.support.zips import zip_text

if TYPE_CHECKING:
    from tests.clients.client import Client
    from tests.support.product import Product

#: What clients encode differently: in forms, in query strings, in JSON.
AWKWARD = "a b+c&d=e%41/中"
EVENT = as_json({"text": AWKWARD, "list": [1, True, None]})

#: The last word of PYTHONPATH is where layers are, on every engine.
WORD = '$(cat "${PYTHONPATH##*:}/word" 2>/dev/null)'


def package(generation: str) -> str:
    """Code which tells its generation, its environment, its layer and its event."""
    handler = f'echo "at work" >&2; printf "%s" "{generation}|$GREETING|{WORD}|$1"'
    return zip_text({"bootstrap": bash_runtime(handler)})


class Life:
    """One function's life; each step leaves it Active."""

    def __init__(self, client: Client, product: Product, name: str) -> None:
        self.client = client
        self.product = product
        self.name = name
        self.layer = f"{name}-layer"

    def call(self, action: str, **params: Any) -> dict[str, Any]:
        return self.client.call(action, FunctionName=self.name, **params)

    def live(self) -> None:
        self.begin()
        self.serve()
        self.change()
        self.be_published()
        self.work_unattended()
        self.end()

    def invoke(self, **params: Any) -> dict[str, Any]:
        """The result of a call that went well."""
        answer = self.call("Invoke", ClientContext=EVENT, **params)
        result: dict[str, Any] = answer["Result"]
        assert (result["InvokeResult"], result["ErrMsg"]) == (0, ""), result
        assert result["FunctionRequestId"] == answer["RequestId"]
        return result

    def says(self, **params: Any) -> str:
        text: str = self.invoke(**params)["RetMsg"]
        return text

    def begin(self) -> None:
        published = self.client.call(
            "PublishLayerVersion",
            LayerName=self.layer,
            CompatibleRuntimes=["CustomRuntime"],
            Content={"ZipFile": zip_text({"word": "from a layer"})},
        )
        assert published["LayerVersion"] == 1
        self.call(
            "CreateFunction",
            Runtime="CustomRuntime",
            Code={"ZipFile": package("first")},
            Timeout=5,
            InitTimeout=10,
            MemorySize=64,
            Description=AWKWARD,
            Environment={"Variables": [{"Key": "GREETING", "Value": AWKWARD}]},
            Layers=[{"LayerName": self.layer, "LayerVersion": 1}],
        )
        found = self.client.until_active(self.name)
        assert (found["Timeout"], found["InitTimeout"], found["MemorySize"]) == (5, 10, 64)
        assert found["Description"] == AWKWARD
        assert found["Environment"]["Variables"] == [{"Key": "GREETING", "Value": AWKWARD}]
        assert found["Layers"][0]["LayerName"] == self.layer
        listed = self.client.call(
            "ListFunctions",
            Limit=5,
            SearchKey=self.name,
            Filters=[{"Name": "Runtime", "Values": ["CustomRuntime"]}],
        )
        assert listed["TotalCount"] == 1
        assert [item["FunctionName"] for item in listed["Functions"]] == [self.name]

    def serve(self) -> None:
        result = self.invoke(LogType="Tail")
        assert result["RetMsg"] == f"first|{AWKWARD}|from a layer|{EVENT}"
        assert "at work\n" in result["Log"]
        assert result["MemUsage"] > 0
        assert result["BillDuration"] >= result["Duration"] > 0
        assert self.invoke()["Log"] == ""

    def change(self) -> None:
        self.call("UpdateFunctionCode", Code={"ZipFile": package("second")})
        self.client.until_active(self.name)
        assert self.says() == f"second|{AWKWARD}|from a layer|{EVENT}"
        self.call(
            "UpdateFunctionConfiguration",
            MemorySize=128,
            Environment={"Variables": [{"Key": "GREETING", "Value": "changed"}]},
            Layers=[{"LayerName": "", "LayerVersion": 0}],
        )
        assert self.client.until_active(self.name)["MemorySize"] == 128
        assert self.says() == f"second|changed||{EVENT}"

    def be_published(self) -> None:
        assert self.call("PublishVersion", Description="kept")["FunctionVersion"] == "1"
        self.client.until_active(self.name, Qualifier="1")
        self.call("CreateAlias", Name="live", FunctionVersion="1", Description="in use")
        self.call("UpdateFunctionCode", ZipFile=package("third"))
        self.client.until_active(self.name)
        assert self.says(Qualifier="live") == f"second|changed||{EVENT}"
        assert self.says() == f"third|changed||{EVENT}"
        self.call("UpdateAlias", Name="live", FunctionVersion="$LATEST")
        assert self.says(Qualifier="live") == f"third|changed||{EVENT}"
        assert self.call("GetAlias", Name="live")["FunctionVersion"] == "$LATEST"
        versions = self.call("ListVersionByFunction", Limit=10)["Versions"]
        assert {item["Version"] for item in versions} == {"$LATEST", "1"}
        aliases = self.call("ListAliases", Offset="0", Limit="10")["Aliases"]
        assert {item["Name"] for item in aliases} == {"$DEFAULT", "live"}

    def work_unattended(self) -> None:
        sent = self.call("Invoke", InvocationType="Event", ClientContext=EVENT)["Result"]
        request_id = sent["FunctionRequestId"]

        def status() -> dict[str, Any] | None:
            data = self.call("GetRequestStatus", FunctionRequestId=request_id)["Data"]
            return data[0] if data and data[0]["RetCode"] != 1 else None

        assert wait_until(status)["RetCode"] == 0
        logs = self.call("GetFunctionLogs", FunctionRequestId=request_id, Limit=10)
        (entry,) = logs["Data"]
        assert (entry["RequestId"], entry["RetCode"]) == (request_id, 0)
        assert entry["RetMsg"] == f"third|changed||{EVENT}"
        assert "at work\n" in entry["Log"]
        assert self.call("GetFunctionLogs", Limit=100)["TotalCount"] >= 7

    def end(self) -> None:
        self.call("DeleteFunction")
        gone = "ResourceNotFound.FunctionName"

        def refusal() -> str | None:
            return self.client.refusal("GetFunction", FunctionName=self.name)

        wait_until(lambda: refusal() == gone)
        assert self.client.refusal("Invoke", FunctionName=self.name) == gone
        wait_until(lambda: not self.product.instances(self.name))
        layer = {"LayerName": self.layer, "LayerVersion": 1}
        self.client.call("DeleteLayerVersion", **layer)
        missing = self.client.refusal("GetLayerVersion", **layer)
        assert missing == "ResourceNotFound.LayerVersion"


def refuses_other_keys(client: Client, wrong: Client, unknown: Client) -> None:
    """``wrong`` has another SecretKey than ``client``, ``unknown`` an id that nobody has."""
    params = {
        "FunctionName": "never-made",
        "Runtime": "CustomRuntime",
        "Code": {"ZipFile": package("forged")},
    }
    assert wrong.refusal("CreateFunction", **params) == "AuthFailure.SignatureFailure"
    assert unknown.refusal("CreateFunction", **params) == "AuthFailure.SecretIdNotFound"
    assert client.call("ListFunctions", SearchKey="never-made")["TotalCount"] == 0
