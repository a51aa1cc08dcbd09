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
  // The leaderboard: words that are typed hide the rows without them; the head of a column sorts by it, and back.
  var by = { column: -1, down: false };
  function value(row) {
    var cell = row.cells[by.column], text = cell ? cell.textContent.trim() : "";
    var number = parseFloat(text.replace(/,/g, "").replace("\u2212", "-"));
    return isNaN(number) ? text.toLowerCase() : number;
  }
  function before(a, b) {
    var x = value(a), y = value(b);
    if (by.column < 0 || x === y) { return a.dataset.place - b.dataset.place; }
    if (x === "" || y === "") { return x === "" ? 1 : -1; }  // what is not known stands last either way
    var order = typeof x === typeof y ? (x < y ? -1 : 1) : typeof x === "number" ? -1 : 1;
    return by.down ? -order : order;
  }
  function arrange() {
    var box = document.querySelector("[data-box=filter]");
    if (!box) { return; }
    var words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    document.querySelectorAll("main.content table.board").forEach(function (table) {
      Array.from(table.tHead ? table.tHead.rows[0].cells : []).forEach(function (head, column) {
        head.tabIndex = 0;
        head.setAttribute("aria-sort", column !== by.column ? "none" : by.down ? "descending" : "ascending");
      });
      var body = table.tBodies[0], rows = Array.from(body.rows);
      rows.forEach(function (row, place) {
        if (row.dataset.place === undefined) { row.dataset.place = place; }
        var text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.includes(word); });
      });
      var wanted = table.tHead ? rows.slice().sort(before) : rows;
      if (wanted.some(function (row, i) { return row !== rows[i]; })) { body.append.apply(body, wanted); }
    });
  }
  function sorts(event) {
    var head = event.target.closest && event.target.closest("main.content table.board th");
    if (!head || (event.type === "keydown" && event.key !== "Enter")) { return; }
    if (by.column === head.cellIndex && by.down) { by.column = -1; by.down = false; }
    else { by.down = by.column === head.cellIndex; by.column = head.cellIndex; }
    arrange();
  }
  document.addEventListener("input", function (event) { if (event.target.dataset.box === "filter") { arrange(); } });
  document.addEventListener("click", sorts);
  document.addEventListener("keydown", sorts);
  new MutationObserver(function (changes) {
    if (changes.some(function (change) { return change.addedNodes.length; })) { arrange(); }
    if (!chosen.size || !changes.some(function (change) { return change.addedNodes.length; })) { return; }
    document.querySelectorAll("main.content details:not(.talk details)").forEach(function (details) {
      var open = chosen.get(known(details));
      if (open !== undefined && open !== details.open) { details.open = open; }
    });
  }).observe(document.body, { childList: true, subtree: true });
})();
