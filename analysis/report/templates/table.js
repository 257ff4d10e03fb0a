// Sorts and filters the table of all trials. Without it, and on paper, the table is a plain one.
(function () {
  "use strict";
  var table = document.getElementById("trials"), field = document.getElementById("filter");
  if (!table || !field) { return; }
  var body = table.tBodies[0], rows = Array.prototype.slice.call(body.rows), told = document.getElementById("count");
  var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
  var names = heads.map(function (head) { return head.textContent.trim().toLowerCase(); });
  document.getElementById("find").hidden = false;

  function key(row, column) {
    var cell = row.cells[column], number = cell.getAttribute("data-n");
    return number === null ? cell.textContent : parseFloat(number);
  }

  function sort(column) {
    var up = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach(function (head) { head.removeAttribute("aria-sort"); });
    heads[column].setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.map(function (row, place) { return { row: row, key: key(row, column), place: place }; })
      .sort(function (a, b) {
        var mixed = typeof a.key !== typeof b.key;
        if (mixed) { return typeof a.key === "number" ? -1 : 1; }
        var order = typeof a.key === "number" ? a.key - b.key : a.key.localeCompare(b.key);
        return (up ? order : -order) || a.place - b.place;
      })
      .forEach(function (each) { body.appendChild(each.row); });
  }

  // "adam lr<0.01 accuracy>=0.9": words that a row has, and columns that are compared with a number
  function tests(text) {
    return text.toLowerCase().split(/\s+/).filter(Boolean).map(function (word) {
      var found = /^(.+?)(<=|>=|<|>|=)(.+)$/.exec(word), column = found ? names.indexOf(found[1]) : -1;
      if (found && column < 0) { column = names.findIndex(function (name) { return name.split(" ").indexOf(found[1]) >= 0; }); }
      if (column < 0) { return function (row) { return row.textContent.toLowerCase().indexOf(word) >= 0; }; }
      var sign = found[2], asked = parseFloat(found[3]);
      return function (row) {
        var value = key(row, column);
        if (sign === "=" && typeof value !== "number") { return value.toLowerCase() === found[3]; }
        if (typeof value !== "number") { return false; }
        return sign === "<" ? value < asked : sign === ">" ? value > asked :
          sign === "<=" ? value <= asked : sign === ">=" ? value >= asked : Math.abs(value - asked) <= 1e-9 * Math.abs(asked);
      };
    });
  }

  function filter() {
    var all = tests(field.value), shown = 0;
    rows.forEach(function (row) {
      var good = all.every(function (test) { return test(row); });
      row.hidden = !good;
      shown += good ? 1 : 0;
    });
    told.textContent = shown + " of " + rows.length + " rows";
  }

  heads.forEach(function (head, column) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.appendChild(button);
    button.addEventListener("click", function () { sort(column); });
  });
  field.addEventListener("input", filter);
  filter();
}());
