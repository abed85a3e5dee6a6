// The first administrator, by the one-time link: its token stands behind the # and so never reaches a server's log.

import { call, keep } from "/api.js";

const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

document.getElementById("claim").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const [name, email, password] = [form.get("name"), form.get("email"), form.get("password")];
  const problem = document.getElementById("problem");
  problem.hidden = true;
  try {
    await call("POST", "/administrators", { token, name, email, password });
    keep(await call("POST", "/session", { email, password }));
    document.getElementById("done").textContent = "Done. You are the administrator of this mesh.";
    event.target.hidden = true;
    location.assign("/");
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
});
