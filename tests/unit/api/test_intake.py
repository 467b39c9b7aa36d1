"""The limits of a request as a table of what came when; no sockets."""

from __future__ import annotations

import pytest

from api.intake import Intake, IntakeLimits, Stage

LIMITS = IntakeLimits(head_bytes=100, head_s=10, silence_s=30)


@pytest.fixture
def intake() -> Intake:
    return Intake(LIMITS)


def test_a_head_has_a_time_from_its_first_byte_on(intake: Intake) -> None:
    intake.began()
    assert intake.fed(1, 1000) == 10
    assert intake.fed(1, 1004) == 6
    assert intake.fed(1, 1012) == 0


def test_a_body_is_waited_for_after_each_of_its_bytes(intake: Intake) -> None:
    intake.began()
    assert intake.head_ended(50, b"/", [])
    for now in (1000, 1029, 1058, 5000):
        intake.came()
        assert intake.fed(1000, now) == 30


def test_a_head_in_pieces_may_have_its_bytes_and_no_more(intake: Intake) -> None:
    intake.began()
    assert intake.fed(1, 0) is not None
    assert intake.fed(99, 0) is not None
    assert intake.fed(1, 0) is None


def test_what_came_with_the_end_of_another_request_is_not_counted(intake: Intake) -> None:
    intake.began()
    intake.head_ended(50, b"/", [])
    intake.ended()
    intake.began()
    assert intake.fed(1000, 0) is not None
    assert intake.fed(99, 0) is not None


@pytest.mark.parametrize("piece", [50, 101])
@pytest.mark.parametrize(("value", "good"), [(94, True), (95, False)])
def test_a_head_that_ends_is_measured_when_it_may_be_too_long(
    intake: Intake, piece: int, value: int, good: bool
) -> None:
    intake.began()
    intake.fed(60, 0)  # its beginning
    assert intake.head_ended(piece, b"/url", [(b"ab", b"x" * value)]) is good


def test_a_head_in_one_small_piece_is_not_measured(intake: Intake) -> None:
    intake.began()
    assert intake.head_ended(100, b"/" * 1000, [])


def test_what_stands_between_pieces_of_a_body_is_limited(intake: Intake) -> None:
    intake.began()
    intake.head_ended(50, b"/", [])
    for _ in range(10):
        intake.came()
        assert intake.fed(1000, 0) is not None
        assert intake.fed(99, 0) is not None
    assert intake.fed(1, 0) is None


def test_between_requests_nothing_is_expected(intake: Intake) -> None:
    stages = [intake.stage]
    intake.began()
    stages.append(intake.stage)
    intake.head_ended(1, b"", [])
    stages.append(intake.stage)
    intake.ended()
    stages.append(intake.stage)
    assert stages == [Stage.BETWEEN, Stage.HEAD, Stage.BODY, Stage.BETWEEN]
