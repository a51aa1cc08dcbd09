// Draws the figures that stand in the page as JSON. Nothing is fetched: the page works without a network.
(function () {
  "use strict";
  var figures = JSON.parse(document.getElementById("figures").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function axes(layout, look) {
    var made = {};
    Object.keys(layout).forEach(function (key) { made[key] = layout[key]; });
    ["xaxis", "yaxis"].concat(Object.keys(layout)).forEach(function (key) {
      if (/^[xy]axis\d*$/.test(key)) {
        made[key] = Object.assign({ gridcolor: look.line, zeroline: false, linecolor: look.line, automargin: true }, layout[key]);
        if (made[key].title) { made[key].title = Object.assign({ font: { size: 13 } }, made[key].title); }
      }
    });
    return made;
  }
  // Beside each other plots need room; on a narrow screen they stand below each other, each with a quality axis.
  function stacked(figure) {
    var layout = JSON.parse(JSON.stringify(figure.layout));
    var columns = layout.grid.columns;
    layout.grid = { rows: columns, columns: 1, pattern: "independent", ygap: 0.35 };
    for (var n = 2; n <= columns; n += 1) { layout["yaxis" + n] = Object.assign({}, layout.yaxis, { matches: "y" }); }
    layout.height = 0.8 * columns * layout.height;
    var data = figure.data.map(function (trace) {
      return Object.assign({}, trace, { yaxis: (trace.xaxis || "x").replace("x", "y") });
    });
    return { data: data, layout: layout };
  }
  // Names as ticks leave little of a narrow plot: each keeps its beginning, which holds its number.
  function shortened(layout, data) {
    var names = Array.from(new Set(data.flatMap(function (trace) { return trace.y; })));
    var ticks = names.map(function (name) { return name.length > 17 ? name.slice(0, 16) + "…" : name; });
    return Object.assign({}, layout, {
      margin: Object.assign({}, layout.margin, { l: 60, r: 34 }),
      yaxis: Object.assign({}, layout.yaxis, { tickvals: names, ticktext: ticks })
    });
  }
  function draw() {
    var look = dark.matches ? { ink: "#c9d2df", line: "#2c3542" } : { ink: "#3a4454", line: "#e4e8ee" };
    document.querySelectorAll("div:not([hidden]) > [data-figure]").forEach(function (place) {
      var figure = figures[Number(place.dataset.figure)];
      var narrow = place.clientWidth < 480;
      if (narrow && figure.layout.grid && figure.layout.grid.columns > 1) { figure = stacked(figure); }
      if (narrow && figure.layout.yaxis && figure.layout.yaxis.categoryarray) {
        figure = { data: figure.data, layout: shortened(figure.layout, figure.data) };
      }
      var base = {
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: getComputedStyle(document.body).fontFamily, color: look.ink, size: narrow ? 11 : 13 },
        modebar: { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: look.line, activecolor: look.ink },
        hoverlabel: { align: "left" }
      };
      var layout = Object.assign(base, axes(figure.layout, look));
      layout.margin = Object.assign({ l: 70, r: 30, t: 30, b: 50 }, figure.layout.margin);
      Plotly.react(place, figure.data, layout, { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "resetScale2d"]] });
    });
  }
  draw();
  dark.addEventListener("change", draw);
  // Of figures that share a place the one is shown that was chosen.
  document.querySelectorAll("select[data-which]").forEach(function (which) {
    function show() {
      Array.from(which.options).forEach(function (option) {
        document.querySelector("[data-figure='" + option.value + "']").parentNode.hidden = !option.selected;
      });
      draw();
    }
    which.addEventListener("change", show);
    if (which.selectedIndex) { show(); }  // a browser remembers what was chosen before a reload
  });
  function opened() {
    var target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") { target.open = true; }
  }
  window.addEventListener("hashchange", opened);
  opened();
})();
