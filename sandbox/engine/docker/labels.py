"""The labels by which everything of ours in the engine is found again."""

from __future__ import annotations


class Labels:
    """``scf-sandbox=<installation>`` on everything; ``scf-sandbox.role`` says what it is."""

    def __init__(self, installation: str) -> None:
        self.installation = installation
        self.mine = f"scf-sandbox={installation}"

    def of(self, role: str, **more: str) -> dict[str, str]:
        """Labels for one object, e.g. ``of("instance", function="default/hello")``."""
        extra = {f"scf-sandbox.{key}": value for key, value in more.items()}
        return {"scf-sandbox": self.installation, "scf-sandbox.role": role, **extra}

    def find(self, role: str) -> tuple[str, str]:
        """The labels by which the objects of a role are listed."""
        return self.mine, f"scf-sandbox.role={role}"
