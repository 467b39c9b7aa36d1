"""``kill -9`` again and again while clients send: whatever was accepted is run to its end."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from tests.support.product import bash_runtime
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.product_cloud import ProductCloud

KILLS = 6
CLIENTS = 3


class Sender:
    """Clients that send one event after the other, through every death of the control plane, and
    note the ids that they were given."""

    def __init__(self, cloud: ProductCloud) -> None:
        self._cloud = cloud
        self._stop = threading.Event()
        self.accepted: list[tuple[str, str]] = []
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(CLIENTS)]

    def _send(self, number: int) -> None:
        for count in range(10_000):
            if self._stop.is_set():
                return
            event = f'"{number}-{count}"'
            try:
                self.accepted.append((self._cloud.send("steady", event), event))
            except TencentCloudSDKException:
                # The control plane is away: nobody was promised anything.
                self._stop.wait(0.02)

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.accepted) >= count)

    def __enter__(self) -> Sender:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_no_accepted_event_is_lost_whenever_the_control_plane_dies(cloud: ProductCloud) -> None:
    cloud.create("steady", bash_runtime(), Environment={"Variables": [{"Key": "A", "Value": "1"}]})
    dice = random.Random(7)
    with Sender(cloud) as sender:
        for _ in range(KILLS):
            enough = len(sender.accepted) + dice.randint(1, 12)
            sender.wait_for(enough)
            cloud.product.kill()
            cloud.product.start()
    assert len(sender.accepted) >= KILLS
    for request_id, event in sender.accepted:
        ended = cloud.ended("steady", request_id)
        assert (ended.RetCode, ended.RetMsg.strip()) == (0, event)
    found = cloud.call("GetFunction", FunctionName="steady")
    assert (found.Status, found.Environment.Variables[0].Value) == ("Active", "1")
