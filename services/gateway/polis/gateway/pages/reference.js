// The API reference, drawn by Redoc from the document that this gateway serves.

const options = { disableSearch: true, hideLoading: true, nativeScrollbars: true, theme: { typography: { fontFamily: "system-ui, sans-serif", headings: { fontFamily: "system-ui, sans-serif" } } } };
const place = document.getElementById("reference");

window.Redoc.init("/docs/openapi.json", options, place, () => place.setAttribute("aria-busy", "false"));
