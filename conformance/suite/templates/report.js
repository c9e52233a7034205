"use strict";
(() => {
  const $ = (selector, inside = document) => inside.querySelector(selector);
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const matrix = $("#matrix");
  const dialog = $("#detail");
  if (matrix) runMatrix();
  document.addEventListener("click", copy);

  function runMatrix() {
    const data = JSON.parse($("#data").textContent); // of each row and library: all dtypes, then each
    const form = $("#filters");
    const body = $("tbody", matrix);
    const rows = all("tr", body);
    const heads = all("thead th", matrix);
    const order = { key: "", descending: false };
    form.hidden = false;

    const shown = (row, column) => data[row.dataset.row][column][Number(form.elements.dtype.value)];
    const part = (cell) => Math.max(cell.value.part, cell.gradient.part);

    function paint(span, half) {
      span.className = `half level-${half.level}`;
      span.textContent = half[form.elements.unit.value];
    }

    function update() {
      const libraries = all("[name=library]", form);
      const columns = libraries.flatMap((box, column) => (box.checked ? [column] : []));
      const query = form.elements.loss.value.trim().toLowerCase();
      const failures = form.elements.failures.checked;
      let count = 0;
      heads.slice(2).forEach((head, column) => { head.hidden = !columns.includes(column); });
      for (const row of rows) {
        const cells = columns.map((column) => shown(row, column));
        const loss = $("th", row).textContent;
        const wanted = query.split(/[\s,]+/).some((word) => loss.includes(word));
        row.hidden = !wanted || (failures && !cells.some((cell) => cell.failed));
        count += !row.hidden;
        for (const box of all("td[data-column]", row)) {
          const cell = shown(row, box.dataset.column);
          const button = $("button", box);
          box.hidden = !columns.includes(Number(box.dataset.column));
          button.setAttribute("aria-label", cell.label);
          button.classList.toggle("faded", failures && !cell.failed);
          for (const span of all(".half", button)) paint(span, cell[span.dataset.half]);
        }
        const halves = cells.flatMap((cell) => [cell.value, cell.gradient]);
        const none = { part: -1, percent: "–", ulp: "–", level: "none" };
        row.worst = halves.reduce((worst, half) => (half.part > worst.part ? half : worst), none);
        paint($(".worst .half", row), row.worst);
      }
      $("#status").textContent = `${count} of ${rows.length} losses on ${columns.length} of ${libraries.length} libraries`
        + (failures && !count ? ": nothing disagrees here" : "");
      sort();
      rove();
    }

    function sort() {
      const sign = order.descending ? -1 : 1;
      const compare = {
        "": (a, b) => a.dataset.row - b.dataset.row,
        loss: (a, b) => $("th", a).textContent.localeCompare($("th", b).textContent),
        worst: (a, b) => a.worst.part - b.worst.part,
      }[order.key] ?? ((a, b) => part(shown(a, order.key)) - part(shown(b, order.key)));
      body.append(...[...rows].sort((a, b) => sign * compare(a, b) || a.dataset.row - b.dataset.row));
      for (const head of heads) {
        const direction = order.descending ? "descending" : "ascending";
        if (head.dataset.key === order.key) head.setAttribute("aria-sort", direction);
        else head.removeAttribute("aria-sort");
      }
    }

    // First the worst, or the first letter, on top; then the other way round; then as in the registry.
    function sortBy(key) {
      const first = key !== "loss";
      if (order.key !== key) Object.assign(order, { key, descending: first });
      else if (order.descending === first) order.descending = !first;
      else Object.assign(order, { key: "", descending: false });
      sort();
    }

    // One cell takes part in the order of the Tab key; the arrow keys move it.
    function visible() {
      return all("tr:not([hidden])", body).map((row) => all("td[data-column]:not([hidden]) button", row));
    }
    function rove(to) {
      const grid = visible();
      const current = to ?? grid.flat().find((button) => button.tabIndex === 0) ?? grid[0]?.[0];
      for (const button of all(".cell", body)) button.tabIndex = button === current ? 0 : -1;
    }
    body.addEventListener("keydown", (event) => {
      const grid = visible();
      const y = grid.findIndex((row) => row.includes(event.target));
      if (y < 0 || event.altKey || event.metaKey) return;
      const x = grid[y].indexOf(event.target);
      const [right, bottom] = [grid[y].length - 1, grid.length - 1];
      const moves = {
        ArrowLeft: [y, x - 1], ArrowRight: [y, x + 1], ArrowUp: [y - 1, x], ArrowDown: [y + 1, x],
        Home: [event.ctrlKey ? 0 : y, 0], End: [event.ctrlKey ? bottom : y, right],
        PageUp: [Math.max(0, y - 10), x], PageDown: [Math.min(bottom, y + 10), x],
      };
      const [toY, toX] = moves[event.key] ?? [];
      if (toY === undefined) return;
      event.preventDefault();
      const next = grid[toY]?.[toX];
      if (!next) return;
      rove(next);
      next.focus();
    });

    for (const kind of ["input", "change"]) form.addEventListener(kind, update);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => { Object.assign(order, { key: "", descending: false }); update(); }));
    for (const head of heads) $("button", head).addEventListener("click", () => sortBy(head.dataset.key));
    body.addEventListener("click", (event) => {
      const button = event.target.closest(".cell");
      if (button) { rove(button); open(button); }
    });
    update();
    const linked = /^#detail-\d+-\d+$/.test(location.hash) && $(`[data-detail="${location.hash.slice(1)}"]`);
    if (linked) { rove(linked); open(linked); }
  }

  function open(button) {
    const template = document.getElementById(button.dataset.detail);
    $("#detail-title").textContent = template.dataset.title;
    $("#detail-body").replaceChildren(template.content.cloneNode(true));
    history.replaceState(null, "", `#${button.dataset.detail}`); // the address leads back to the cell
    button.focus(); // where the browser puts the focus back when the dialog closes
    dialog.showModal();
    dialog.scrollTop = 0;
    $("#detail-title").focus();
  }
  dialog.addEventListener("close", () => history.replaceState(null, "", location.href.split("#")[0]));
  $(".close", dialog).addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  async function copy(event) {
    const button = event.target.closest(".copy");
    if (!button) return;
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    } catch { // no clipboard for this page: select the text, for the keyboard to copy
      getSelection().selectAllChildren(code);
    }
  }
})();
