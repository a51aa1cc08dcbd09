// Draws the figures that stand in the page as JSON. Nothing is fetched: the page works without a network.
(function () {
  "use strict";
  var figures = JSON.parse(document.getElementById("figures").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function axes(layout, look) {
    var made = {};
    Object.keys(layout).forEach(function (key) { made[key] = layout[key]; });
    ["xaxis", "xaxis2", "yaxis", "yaxis2"].forEach(function (key) {
      if (layout[key] || key === "xaxis" || key === "yaxis") {
        made[key] = Object.assign({ gridcolor: look.line, zeroline: false, linecolor: look.line, automargin: true }, layout[key]);
      }
    });
    return made;
  }
  function draw() {
    var look = dark.matches ? { ink: "#c9d2df", line: "#2c3542" } : { ink: "#3a4454", line: "#e4e8ee" };
    document.querySelectorAll("[data-figure]").forEach(function (place) {
      var figure = figures[Number(place.dataset.figure)];
      var base = {
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: getComputedStyle(document.body).fontFamily, color: look.ink, size: 13 },
        modebar: { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: look.line, activecolor: look.ink },
        hoverlabel: { align: "left" }
      };
      var layout = Object.assign(base, axes(figure.layout, look));
      layout.margin = Object.assign({ l: 70, r: 30, t: 50, b: 50 }, figure.layout.margin);
      Plotly.react(place, figure.data, layout, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
    });
  }
  draw();
  dark.addEventListener("change", draw);
  function opened() {
    var target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") { target.open = true; }
  }
  window.addEventListener("hashchange", opened);
  opened();
})();
