// A new password by the link of a mail: its token stands behind the # and so never reaches a server's log.

import { call } from "/api.js";
import { at, on, tell } from "/forms.js";

const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

on("reset", async ({ password }) => {
  await call("POST", "/password/reset", { token, password });
  at("reset").hidden = true;
  tell("The new password is set. Sign in with it.");
});
