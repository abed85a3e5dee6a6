"""People: passwords, sessions, second factors, administrators."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.e2e.rows.making import fixed

NEW = "another long one"
REASON = "a reason that is long enough"

ROWS: dict[str, Any] = {
    "change_password": fixed("/me/password", {"old_password": "wrong", "new_password": NEW}),
    "forgot_password": fixed("/password/forgotten", {"email": "nobody@example.org"}),
    "ask_to_sign_up": fixed("/sign-up/mail", {"email": "nobody@example.org"}),
    "reset_password": fixed("/password/reset", {"token": "wrong", "password": NEW}),
    "list_sessions": fixed("/sessions"),
    "end_session": fixed(f"/sessions/{uuid4()}"),
    "end_other_sessions": fixed("/sessions"),
    "leave_org": fixed(f"/me/memberships/{uuid4()}"),
    "confirm_identity": fixed("/sessions/confirm", {"password": "wrong"}),
    "sign_in_second_factor": fixed("/sign-in/second-factor", {"ticket": "wrong", "code": "000000"}),
    "get_second_factor": fixed("/me/totp"),
    "enrol_totp": fixed("/me/totp"),
    "confirm_totp": fixed("/me/totp/confirm", {"code": "wrong"}),
    "remove_totp": fixed("/me/totp"),
    "new_recovery_codes": fixed("/me/recovery-codes"),
    "cross_org": fixed("/administrators/access", {"org_id": str(uuid4()), "reason": REASON}),
    "list_accounts": fixed("/accounts"),
    "suspend_account": fixed(f"/accounts/{uuid4()}/suspend", {"reason": REASON}),
    "resume_account": fixed(f"/accounts/{uuid4()}/resume", {"reason": REASON}),
    "appoint_administrator": fixed(f"/administrators/{uuid4()}", {"reason": REASON}),
    "dismiss_administrator": fixed(f"/administrators/{uuid4()}"),
    "list_mails": fixed("/mails"),
}
OF_ADMINISTRATORS = (
    *("cross_org", "list_accounts", "suspend_account", "resume_account", "list_mails"),
    *("appoint_administrator", "dismiss_administrator"),
)
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    ("forgot_password", "public"): {204, 429},  # one address is asked for again and again
    ("ask_to_sign_up", "public"): {409},  # this mesh sends no mails
    ("reset_password", "public"): {404},  # the row offers a wrong link
    ("sign_in_second_factor", "public"): {401},  # and a wrong ticket
    ("change_password", "allowed"): {422},  # and a wrong password
    ("confirm_identity", "allowed"): {422},
    ("end_session", "allowed"): {404},  # and no session of the caller's
    ("leave_org", "allowed"): {404},  # nor is anybody in an org of this id
    ("confirm_totp", "allowed"): {404, 422},  # nobody here has a second factor
    ("remove_totp", "allowed"): {404},
    ("new_recovery_codes", "allowed"): {404},
} | {(name, "allowed"): {403} for name in OF_ADMINISTRATORS}  # nobody here administers the mesh
USERS_ONLY = set(ROWS) - {
    "forgot_password", "ask_to_sign_up", "reset_password", "sign_in_second_factor",
}  # fmt: skip
