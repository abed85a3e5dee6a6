// Asks for the link that resets a password. The answer is the same whether the address has an account or not.

import { call } from "/api.js";
import { at, on, tell } from "/forms.js";

on("ask", async ({ email }) => {
  await call("POST", "/password/forgotten", { email });
  at("ask").hidden = true;
  tell("If an account has this address, the link is on its way.");
});
