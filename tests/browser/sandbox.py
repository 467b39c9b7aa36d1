"""The sandbox under attack, and how to see that nothing happened in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.product import Product


class Sandbox:
    """A product with the function ``victim``."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.port, self.url = product.port, product.url

    @property
    def download(self) -> str:
        """The path of a link to the victim's package."""
        asked = {"X-TC-Action": "GetFunctionAddress"}
        answer = self.product.http.post("/", headers=asked, json={"FunctionName": "victim"})
        link: str = answer.json()["Response"]["Url"]
        return link.partition(str(self.port))[2]

    def state(self) -> dict[str, Any]:
        """How many facts there were, which is everything that ever happened; and the functions."""
        with self.product.http.stream("GET", "/events") as stream:
            lines = stream.iter_lines()
            place = next(line for line in lines if line.startswith("id: "))
        functions = self.product.http.get("/functions").json()
        assert [function["name"] for function in functions["functions"]] == ["victim"]
        return {"facts": place, "functions": functions}
