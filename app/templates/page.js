// Parts of the page are drawn again while a campaign runs: what the viewer opened or closed stays as it was. "/" goes to
// the box of the page, at once: over a slow line the letters typed after it would each be a key of the page.
(function () {
  "use strict";
  document.addEventListener("keydown", function (event) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (event.target.closest("input, textarea, select, [contenteditable]")) { return; }
    var box = document.querySelector("[data-box]"), now = document.querySelector("nav.pages a");
    if (box && box.dataset.box !== "commands") { event.preventDefault(); }  // a command begins with the stroke itself
    if (box) { box.focus(); } else if (now) { now.click(); }
  }, true);
  var chosen = new Map();
  function known(details) {
    var summary = details.querySelector("summary");
    return details.dataset.keep || (summary ? summary.textContent : "");
  }
  document.addEventListener("click", function (event) {
    var summary = event.target.closest && event.target.closest("main.content summary");
    if (summary && !summary.closest(".talk")) { chosen.set(known(summary.parentNode), !summary.parentNode.open); }
  });
  new MutationObserver(function (changes) {
    if (!chosen.size || !changes.some(function (change) { return change.addedNodes.length; })) { return; }
    document.querySelectorAll("main.content details:not(.talk details)").forEach(function (details) {
      var open = chosen.get(known(details));
      if (open !== undefined && open !== details.open) { details.open = open; }
    });
  }).observe(document.body, { childList: true, subtree: true });
})();
