"""Errors of the database in words that say what to do."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from sandbox.errors import PlatformError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

M = TypeVar("M", bound=BaseModel)

_LOCKED = "another process has it locked; end that one, or try again"
_DAMAGED = (
    "it is damaged; stop the sandbox and bring back a copy, or save what can be read (sqlite3 FILE"
    " .recover), or begin anew: move it away, or set SCF_DATABASE_URL to another"
)
#: What a failing database raises: a PRAGMA's error comes bare, and so does text that is no text.
FAILURES = (SQLAlchemyError, sqlite3.Error, UnicodeDecodeError)
#: What to do about SQLite's errors, by their primary result code (https://sqlite.org/rescode.html).
_SQLITE_ADVICE = {
    sqlite3.SQLITE_FULL: "free some space on its disk",
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: "make the file and its directory writable for this user",
    sqlite3.SQLITE_CANTOPEN: "make its directory, writable for this user, or set SCF_DATABASE_URL",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
#: The same for a server's, by the beginning of SQLSTATE (PostgreSQL's manual, appendix A).
_SERVER_ADVICE = {
    "08": "see that its server runs, and that SCF_DATABASE_URL names it",
    "57P": "see that its server runs, and that SCF_DATABASE_URL names it",
    "28": "give SCF_DATABASE_URL a user and a password that the server takes",
    "25006": "the server is read-only; set SCF_DATABASE_URL to one that is not",
    "40": _LOCKED,
    "55P03": _LOCKED,
    "53100": "free some space on the server's disk",
    "53": "the server has no connection or memory left; try again",
}
_OTHER_ADVICE = "see that it is writable and not damaged, or set SCF_DATABASE_URL to another"


def database_error(url: URL, error: Exception) -> PlatformError:
    """The error of a database that failed: which database, why, and what to do.

    The message leaves out the password, and the statement, whose parameters may be secret.
    """
    cause = _cause(error)
    if isinstance(cause, UnicodeDecodeError):
        advice = _DAMAGED
    elif isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        advice = _SQLITE_ADVICE.get(code, _OTHER_ADVICE)
    else:
        state = _sqlstate(error, cause)
        found = (text for start, text in _SERVER_ADVICE.items() if state.startswith(start))
        advice = next(found, _OTHER_ADVICE)
    return PlatformError(
        f"the database {url.render_as_string()} cannot be used ({reason_of(error)}): {advice}"
    )


def parsed(model: type[M], data: str, what: str, engine: Engine) -> M:
    """The record that ``data`` holds as JSON. ``what`` names its row: ``layer "base"``.

    ``PlatformError`` if it does not parse. The message names the fields and repeats no value.
    """
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        first = ".".join(map(str, found[0]["loc"]))
        reason = f"{first}: {found[0]['msg']}" if first else found[0]["msg"]
        # "from None": the cause repeats values, and an environment holds secrets.
        raise PlatformError(
            f"the {what} in the database {engine.url.render_as_string()} cannot be read ({reason}):"
            " start the version of scf-sandbox that saved it, or bring back a copy of the database,"
            " or delete its row"
        ) from None


def reason_of(error: Exception) -> str:
    """The driver's own message, without the statement and its parameters."""
    cause = _cause(error)
    return str(cause).strip() or type(cause).__name__


def _sqlstate(error: Exception, cause: BaseException) -> str:
    for name in ("sqlstate", "pgcode"):  # psycopg and asyncpg, psycopg2
        if state := getattr(cause, name, None):
            return str(state)
    # A driver that does not reach its server has no SQLSTATE.
    return "08" if isinstance(error, OperationalError | InterfaceError) else ""


def _cause(error: Exception) -> BaseException:
    """The driver's own error, which SQLAlchemy's wraps."""
    return getattr(error, "orig", None) or error
