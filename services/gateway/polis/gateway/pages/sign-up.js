// A new account by the link of a mail: its token stands behind the # and so never reaches a server's log.

import { call } from "/api.js";
import { at, on, tell } from "/forms.js";

const confirmation = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

on("create", async ({ email, name, password }) => {
  await call("POST", "/sign-up", { email, name, password, confirmation });
  at("create").hidden = true;
  tell("Your account is made. Sign in.");
});
