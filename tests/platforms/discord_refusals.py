"""How the fake Discord refuses."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class Refusal(Exception):
    """Discord's error answer: HTTP status, its own code, its message, and what is wrong with which field."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status, self.code, self.message, self.errors = status, code, message, errors

    @property
    def body(self) -> Json:
        said: Json = {"message": self.message, "code": self.code}
        return said | {"errors": self.errors} if self.errors else said


def form_error(field_name: str, what: str, reason: str = "BASE_TYPE_INVALID") -> Refusal:
    """``reason`` is Discord's word for what is wrong with the field."""
    errors: Json = {"_errors": [{"code": reason, "message": what}]}
    for name in reversed(field_name.split(".")):
        errors = {name: errors}
    return Refusal(400, 50035, f"Invalid Form Body: {field_name}: {what}", errors)
