// Parts of the page are drawn again while a campaign runs: what the viewer opened or closed stays as it was.
(function () {
  "use strict";
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
