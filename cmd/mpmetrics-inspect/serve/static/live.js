// Puts the newest content of this page in place of what is shown, every few seconds. Where scripts do not run the
// page has a button of the browser's for that.
"use strict";
(() => {
  const seconds = Number(document.documentElement.dataset.refresh);
  const lost = document.getElementById("lost");
  const refresh = async () => {
    try {
      const answer = await fetch(location.href, {cache: "no-store"});
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      if (fresh && !getSelection().toString()) {
        document.querySelector("main").replaceWith(fresh);
      }
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
    setTimeout(refresh, seconds * 1000);
  };
  setTimeout(refresh, seconds * 1000);
})();
